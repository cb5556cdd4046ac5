"""The page on testing: its examples are tests that pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "core" / "docs" / "testing.md"


def test_examples_of_the_page_pass(pytester: pytest.Pytester) -> None:
    examples = re.findall(r"^```python([^\n]*)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for number, (title, code) in enumerate(examples):
        name = "conftest.py" if "conftest.py" in title else f"test_example_{number}.py"
        (pytester.path / name).write_text(code, encoding="utf-8")
    outcomes = pytester.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()
    assert outcomes.keys() <= {"passed", "skipped", "warning", "warnings"}
    assert outcomes["passed"] > 5
