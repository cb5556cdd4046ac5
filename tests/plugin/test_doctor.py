"""The doctor explains what is wrong and how to mend it."""

from __future__ import annotations

import pytest

from headrace.model.errors import PluginNotInstalled
from headrace.plugin import doctor
from headrace.plugin.doctor import Level
from headrace.plugin.offers import Kind

STEP = """
from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

@hookimpl
def headrace_deployment_steps():
    return [Offer("{package}.step", "{package}.blocks:Thing", "A step"{more})]
{tail}
"""


def step(more: str = "", tail: str = "") -> str:
    return STEP.replace("{more}", more).replace("{tail}", tail)


def examine(site, **options):
    return [(f.plugin, f.level, f.text, f.remedy) for f in doctor.examine(site.registry(), **options)]


def test_a_healthy_plugin_gives_no_finding(site):
    site.install("dummy-well", step())
    assert examine(site, probe=True) == []


def test_every_state_comes_with_text_and_remedy(site):
    site.install("dummy-broken", "import nothing_like_this")
    site.install("dummy-future", 'HEADRACE_PLUGIN_API_REQUIRES = ">=2"')
    site.install("dummy-left", step().replace("{package}.step", "same"))
    site.install("dummy-right", step().replace("{package}.step", "same"))
    site.install("dummy-sdk", step(', modules=("nothing_like_this",), extra="sdk"'))
    findings = examine(site)
    assert {(name, level) for name, level, _, _ in findings} == {
        ("dummy-broken", Level.ERROR),
        ("dummy-future", Level.ERROR),
        ("dummy-left", Level.ERROR),
        ("dummy-right", Level.ERROR),
        ("dummy-sdk", Level.WARNING),
    }
    assert all(text and remedy for _, _, text, remedy in findings)
    texts = {name: f"{text} {remedy}" for name, _, text, remedy in findings}
    assert "line 1" in texts["dummy-broken"]
    assert "pip install 'dummy-sdk[sdk]'" in texts["dummy-sdk"]


def test_denied_plugins_are_mentioned(site):
    site.install("dummy-one")
    (finding,) = doctor.examine(site.registry(deny=frozenset({"dummy-one"})))
    assert (finding.level, finding.text) == (Level.INFO, "Plugin 'dummy-one' is on the deny list.")


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("headrace>=99", "It requires headrace>=99, and"),
        ("nothing-like-this>=1", "which is not installed"),
        ("pytest>=1 ; extra == 'test'", None),
        ("nothing-like-this; python_version < '3'", None),
        ("=odd=", "cannot be read"),
    ],
)
def test_requirements_that_do_not_hold_are_found(site, requirement, words):
    site.install("dummy-needs", step(), requires=(requirement,))
    findings = examine(site)
    if words is None:
        assert findings == []
    else:
        assert words in findings[0][2]


@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [
        ("import os; os._exit(7)", 60, "ended the process with code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 60, "ended the process with code -9"),
        ("import threading; threading.Event().wait()", 1.5, "did not end within 1.5 seconds"),
        ("raise SystemExit('no licence')", 60, "SystemExit: no licence"),
        ("Other = 1", 60, "has no attribute 'Thing'"),
    ],
)
def test_a_probe_survives_what_the_plugin_does(site, code, seconds, words):
    site.install("dummy-wild", step(), files={"blocks.py": code})
    assert examine(site) == []
    (finding,) = doctor.examine(site.registry(), "dummy-wild", probe=True, timeout_seconds=seconds)
    assert finding.level is Level.ERROR
    assert words in finding.text


def test_a_probe_asks_the_plugin_itself(site):
    site.install(
        "dummy-asks",
        step(
            tail="""
from headrace.plugin import Check

@hookimpl
def headrace_diagnose():
    return [Check("credentials", "error", "no role found", "Run `login`."), Check("region", "ok", "north"), 3]
"""
        ),
    )
    findings = examine(site, probe=True)
    assert findings[:2] == [
        ("dummy-asks", Level.ERROR, "credentials: no role found", "Run `login`."),
        ("dummy-asks", Level.INFO, "region: north", None),
    ]
    assert "gave 3 instead of a Check" in findings[2][2]


def test_a_light_module_that_imports_its_sdk_is_told_on(site):
    site.install("dummy-sdk", "import wave\n" + step(', modules=("wave",)'))
    (finding,) = doctor.examine(site.registry(), probe=True)
    assert "imports wave, so every listing pays" in finding.text


def test_a_second_copy_on_the_path_is_found(site):
    package = site.install("dummy-one", step(), version="1.0")
    site.install("dummy-one", step(), version="2.0")
    (finding,) = doctor.examine(site.registry())
    assert "dummy-one is installed twice" in finding.text
    assert f"{package}-2.0.dist-info is not" in finding.text


def test_damaged_metadata_are_found(site):
    package = site.install("dummy-one", step())
    (site.folder / f"{package}-1.0.dist-info" / "METADATA").unlink()
    (finding,) = doctor.examine(site.registry())
    assert "are damaged" in finding.text


def test_an_unknown_plugin_lists_near_names(site):
    site.install("dummy-one")
    with pytest.raises(PluginNotInstalled, match="Did you mean 'dummy-one'"):
        doctor.examine(site.registry(), "dummy-on")


def test_why_says_who_provides_something_and_whether_it_can_be_used(site):
    site.install("dummy-well", step(', aliases=("old",)'))
    site.install("dummy-sdk", step(', modules=("nothing_like_this",)').replace("{package}.step", "sdk"))
    registry = site.registry()
    well = doctor.why(registry, Kind.STEP, "old")
    assert well.is_usable
    assert "provided by dummy-well 1.0" in well.text
    assert "alias of 'dummy_well.step'" in well.text
    assert not doctor.why(registry, Kind.STEP, "sdk").is_usable
    assert "No installed plugin offers the step 'none'" in doctor.why(registry, Kind.STEP, "none").text
