"""`headrace plugins …` as people and scripts see it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from headrace.cli.plugins import group

OFFERS = """
from headrace.plugin import Offer, SetupResult, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

@hookimpl
def headrace_deployment_steps():
    return [Offer("{package}.join", "os.path:join", "Join paths", aliases=("old.join",))]

@hookimpl
def headrace_workers():
    return [Offer("balloon", "{package}.blocks:Thing", "Runs flows in balloons", modules=("nothing_like_this",), extra="gas")]

@hookimpl
def setup_environment(ctx):
    return SetupResult(env={"DUMMY_TOKEN": "hunter2", "DUMMY_REGION": "north"}, note="Logged in")
"""


def invoke(*arguments: str, code: int = 0):
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == code, result.output + result.stderr
    return result


def test_list_shows_state_and_counts_and_imports_nothing_offered(site):
    site.install("dummy-one", OFFERS)
    lines = invoke("list").output.splitlines()
    row = next(line for line in lines if line.startswith("dummy-one"))
    assert "dummy-one 1.0" in row
    assert "degraded" in row
    assert "1 worker, 1 step" in row
    assert any(line.startswith("builtin") for line in lines)
    import sys

    assert "dummy_one.blocks" not in sys.modules


def test_list_by_kind_and_as_data(site):
    site.install("dummy-one", OFFERS)
    rows = json.loads(invoke("list", "--kind", "worker", "-o", "json").output)
    assert {"name": "balloon", "plugin": "dummy-one"}.items() <= next(r for r in rows if r["name"] == "balloon").items()
    records = {record["name"]: record for record in json.loads(invoke("list", "-o", "json").output)}
    assert records["dummy-one"]["missing"] == ["nothing_like_this"]
    assert records["builtin"]["distribution"] == "headrace"


def test_inspect_shows_offers_and_the_readme_table(site):
    site.install("dummy-one", OFFERS)
    assert "- step dummy_one.join: Join paths (os.path:join)" in invoke("inspect", "Dummy_One").output
    assert "| worker | `balloon` | Runs flows in balloons (extra `gas`) |" in invoke("inspect", "dummy-one", "--readme").output
    assert json.loads(invoke("inspect", "dummy-one", "-o", "json").output)["version"] == "1.0"


@pytest.mark.parametrize("command", ["inspect", "doctor"])
def test_an_unknown_plugin_is_not_found_and_near_names_are_shown(site, command):
    site.install("dummy-one", OFFERS)
    result = invoke(command, "dummy-on", code=4)
    assert "Did you mean 'dummy-one'" in result.stderr


def test_doctor_is_content_or_exits_with_one(site):
    site.install("dummy-good", OFFERS.replace(', modules=("nothing_like_this",), extra="gas"', ""))
    site.install("dummy-bad", "raise SystemExit(3)")
    assert "1 plugin looked at, nothing to mend" in invoke("doctor", "dummy-good").output
    result = invoke("doctor", code=1)
    assert "ERROR dummy-bad: Plugin 'dummy-bad' (dummy-bad 1.0) could not be loaded: SystemExit: 3" in result.output
    assert "What to do: " in result.output
    assert json.loads(invoke("doctor", "dummy-bad", "-o", "json", code=1).output)[0]["level"] == "error"


def test_doctor_probes_on_demand(site):
    site.install(
        "dummy-wild",
        OFFERS.replace("nothing_like_this", "wave"),
        files={"blocks.py": "import os; os._exit(3)"},
    )
    invoke("doctor", "dummy-wild")
    assert "ended the process with code 3" in invoke("doctor", "dummy-wild", "--probe", code=1).output


def test_why_explains(site):
    site.install("dummy-one", OFFERS)
    assert "provided by dummy-one 1.0" in invoke("why", "step", "old.join").output
    assert "nothing_like_this missing" in invoke("why", "worker", "balloon", code=1).output
    assert json.loads(invoke("why", "worker", "balloo", "-o", "json", code=1).output)["usable"] is False


def test_diagnose_shows_settings_plugins_and_hooks_without_secrets(site, monkeypatch):
    site.install("dummy-one", OFFERS)
    monkeypatch.setenv("HEADRACE_PLUGINS_ENABLED", "1")
    monkeypatch.setenv("HEADRACE_PLUGINS_ALLOW", "dummy-one,other")
    monkeypatch.setenv("DUMMY_TOKEN", "")
    monkeypatch.setenv("DUMMY_REGION", "")
    output = invoke("diagnose").output
    for line in (
        "Enabled: True",
        "Timeout: 20.0s",
        "Allow list: dummy-one, other",
        "    Module: dummy_one.plugin",
        "    API requirement: >=0.1,<1",
        "• dummy-one: success",
        "    Environment variables: 2",
        "      DUMMY_TOKEN=••••••",
        "      DUMMY_REGION=north",
        "    Note: Logged in",
    ):
        assert line in output
    assert "hunter2" not in output


FAILING = "from headrace.plugin import hookimpl\n@hookimpl\ndef setup_environment():\n    raise ValueError('no')"


def test_diagnose_says_when_hooks_are_off(site):
    site.install("dummy-one", FAILING)
    assert "Startup hooks are off; set HEADRACE_PLUGINS_ENABLED=1." in invoke("diagnose").output


def test_diagnose_survives_strict_mode(site, monkeypatch):
    site.install("dummy-one", FAILING)
    monkeypatch.setenv("HEADRACE_PLUGINS_ALLOW", "dummy-one")
    monkeypatch.setenv("HEADRACE_PLUGINS_ENABLED", "1")
    monkeypatch.setenv("HEADRACE_PLUGINS_STRICT", "1")
    (hook,) = json.loads(invoke("diagnose", "-o", "json").stdout)["startup_hooks"]
    assert (hook["plugin"], hook["result"], hook["error"]) == ("dummy-one", "failed", "ValueError: no")


def test_new_refuses_bad_names_and_existing_folders(tmp_path):
    assert "cannot be the name of a plugin" in invoke("new", "1x!", code=1).stderr
    invoke("new", "acme", "--kind", "step", "--directory", str(tmp_path))
    assert "exists already" in invoke("new", "headrace-acme", "--directory", str(tmp_path), code=1).stderr
    assert "There is no example for worker" in invoke("new", "other", "--kind", "worker", code=1).stderr
