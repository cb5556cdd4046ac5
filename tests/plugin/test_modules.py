"""Looking for modules without importing them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.plugin import modules


def test_modules_in_namespaces_within_namespaces_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vendor_of_tests" / "management" / "machines").mkdir(parents=True)
    (tmp_path / "vendor_of_tests" / "management" / "machines" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert modules.is_available("vendor_of_tests.management.machines")
    assert modules.is_available("vendor_of_tests.management")
    assert not modules.is_available("vendor_of_tests.management.nothing")
    assert not modules.is_available("vendor_of_tests.nothing.machines")
    assert "vendor_of_tests" not in sys.modules
