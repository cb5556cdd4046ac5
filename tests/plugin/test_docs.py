"""The examples on the page about plugins work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.plugin import Kind, specs, startup
from headrace.plugin.startup import run_startup_hooks

PAGE = (Path(__file__).parents[2] / "core" / "docs" / "plugins.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))


def test_the_light_module_of_the_page_is_a_plugin(site):
    site.install("acme", EXAMPLES["plugin.py"])
    registry = site.registry()
    assert registry.find("block", "acme-credentials").extra == "sdk"
    assert registry.records()[1].missing == ("acme_sdk",)


def test_the_startup_hook_of_the_page_runs(site, monkeypatch):
    monkeypatch.setenv("ACME_REGION", "")
    monkeypatch.setenv("ACME_TOKEN", "")
    site.install("acme", EXAMPLES["startup.py"])
    (summary,) = run_startup_hooks(startup.context(), site.registry(enabled=True, strict=True))
    assert (summary.note, summary.env_preview) == (
        "Logged in to Acme", {"ACME_REGION": "north", "ACME_TOKEN": "••••••"},
    )  # fmt: skip


@pytest.mark.parametrize("hook", [name for name in dir(specs) if name.startswith("headrace_")])
def test_the_page_names_every_hook(hook):
    assert f"`{hook}" in PAGE
    assert (getattr(specs, hook).__doc__ or "").strip()


def test_every_kind_has_a_hook():
    assert {kind.hook for kind in Kind} <= set(dir(specs))
