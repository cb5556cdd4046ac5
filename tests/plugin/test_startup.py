"""Startup hooks: what they may set, how they fail, and that nobody waits for them longer than agreed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.plugin import startup
from headrace.plugin.policy import current_policy
from headrace.plugin.startup import SetupState, run_startup_hooks

HOOK = """
from headrace.plugin import SetupResult, register_hook

@register_hook{options}
def setup_environment(*, ctx):
    {body}
"""


def hook(body: str, options: str = "") -> str:
    return HOOK.replace("{options}", options).replace("{body}", body)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Put the environment back, whatever hooks wrote into it."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


def run(site, **policy):
    registry = site.registry(enabled=True, **policy)
    return {summary.plugin: summary for summary in run_startup_hooks(startup.context(), registry)}


def test_variables_reach_the_process_and_its_children(site):
    site.install("dummy-env", hook("return SetupResult(env={'DUMMY_REGION': 'north'}, note='Set the region')"))
    summary = run(site)["dummy-env"]
    assert (summary.state, summary.note, summary.env_preview) == (
        SetupState.SUCCESS, "Set the region", {"DUMMY_REGION": "north"},
    )  # fmt: skip
    code = "import os; print(os.environ['DUMMY_REGION'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "north\n"


def test_a_setting_that_a_hook_sets_holds_at_once(site):
    site.install("dummy-env", hook("return SetupResult(env={'HEADRACE_TASKS_DEFAULT_RETRIES': '7'})"))
    from headrace.settings import get_current_settings

    assert get_current_settings().tasks.default_retries == 0
    run(site)
    assert get_current_settings().tasks.default_retries == 7


@pytest.mark.parametrize("prefix", ["HEADRACE_PLUGINS_", "HEADRACE_EXPERIMENTS_PLUGINS_"])
def test_the_policy_comes_from_the_documented_variables(monkeypatch, prefix):
    for name, value in {
        "ENABLED": "1", "ALLOW": "aws-plugin,gcp-plugin", "DENY": "legacy-plugin",
        "SETUP_TIMEOUT_SECONDS": "60", "STRICT": "1", "SAFE_MODE": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(prefix + name, value)
    policy = current_policy()
    assert (policy.enabled, policy.strict, policy.safe_mode, policy.setup_timeout_seconds) == (True, True, True, 60)
    assert (policy.allow, policy.deny) == ({"aws-plugin", "gcp-plugin"}, {"legacy-plugin"})


def test_the_context_says_version_url_and_gives_loggers(site, caplog, monkeypatch):
    monkeypatch.setenv("HEADRACE_API_URL", "http://api")
    site.install(
        "dummy-env",
        hook("ctx.logger_factory('dummy').error('%s at %s', bool(ctx.headrace_version), ctx.api_url)"),
    )
    assert run(site)["dummy-env"].state is SetupState.NOTHING
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("headrace.plugins.dummy", "True at http://api")]


def test_async_hooks_methods_and_our_own_name_of_the_hook_work(site):
    site.install(
        "dummy-async",
        """
        import asyncio
        from headrace.plugins import SetupResult, hookimpl

        class Mine:
            value = "x"

            @hookimpl
            async def headrace_setup_environment(self, context):
                await asyncio.sleep(0)
                return SetupResult(env={"DUMMY_ASYNC": self.value})

        Plugin = Mine()
        """,
        entry="dummy_async.plugin:Plugin",
    )
    assert run(site)["dummy-async"].state is SetupState.SUCCESS
    assert os.environ["DUMMY_ASYNC"] == "x"


def test_the_documented_import_path_works(site):
    site.install(
        "dummy-documented",
        """
        from headrace._experimental.plugins import register_hook, HookContext, SetupResult

        HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

        @register_hook
        def setup_environment(*, ctx: HookContext) -> SetupResult:
            return SetupResult(env={"DUMMY_DOC": "1"}, note="as documented", required=True)
        """,
    )
    assert run(site, strict=True)["dummy-documented"].note == "as documented"


def test_nothing_runs_unless_it_is_switched_on_and_nothing_in_safe_mode(site):
    site.install("dummy-env", hook("return SetupResult(env={'DUMMY_OFF': '1'})"))
    assert run_startup_hooks(startup.context(), site.registry()) == []
    assert run(site, safe_mode=True)["dummy-env"].state is SetupState.SKIPPED
    assert "DUMMY_OFF" not in os.environ


def test_a_hook_that_hangs_is_given_up_and_the_others_count(site, caplog):
    site.install("dummy-a", hook("import threading; threading.Event().wait()"))
    site.install("dummy-b", hook("return SetupResult(env={'DUMMY_QUICK': '1'})"))
    site.install("dummy-c", hook("import asyncio; return asyncio.Event().wait()"))
    summaries = run(site, setup_timeout_seconds=0.4)
    assert [summaries[name].state for name in ("dummy-a", "dummy-b", "dummy-c")] == [
        SetupState.TIMED_OUT, SetupState.SUCCESS, SetupState.TIMED_OUT,
    ]  # fmt: skip
    assert os.environ["DUMMY_QUICK"] == "1"
    assert "dummy-a gave no answer within 0.4 seconds (HEADRACE_PLUGINS_SETUP_TIMEOUT_SECONDS)" in caplog.text


def test_a_process_ends_though_a_hook_hangs(site, python):
    site.install("dummy-a", hook("import threading; threading.Event().wait()"))
    done = python(
        """
        from headrace.plugin.startup import run_once
        print([s.state.value for s in run_once()])
        """,
        HEADRACE_PLUGINS_ENABLED="1",
        HEADRACE_PLUGINS_SETUP_TIMEOUT_SECONDS="0.2",
        HEADRACE_PLUGINS_ALLOW="dummy-a",
    )
    assert (done.returncode, done.stdout) == (0, "['timed out']\n"), done.stderr


@pytest.mark.parametrize("error", ["ValueError('no role')", "SystemExit(4)", "BaseException('odd')"])
def test_a_hook_that_raises_is_logged_and_the_others_count(site, caplog, error):
    site.install("dummy-bad", hook(f"raise {error}"))
    site.install("dummy-good", hook("return SetupResult(env={'DUMMY_GOOD': '1'})"))
    summaries = run(site)
    assert summaries["dummy-bad"].state is SetupState.FAILED
    assert "The startup hook of plugin dummy-bad failed" in caplog.text
    assert os.environ["DUMMY_GOOD"] == "1"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("{'A': 'b'}", "it returned dict"),
        ("SetupResult(env={'DUMMY_NUMBER': 3})", "'DUMMY_NUMBER' is not text but int"),
        ("SetupResult(env={'A=B': 'x'})", "'A=B' cannot be an environment variable"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_refused(site, answer, words):
    site.install("dummy-odd", hook(f"return {answer}"))
    assert words in (run(site)["dummy-odd"].error or "")


def test_two_plugins_setting_one_variable_are_named_and_the_last_wins(site, caplog):
    site.install("dummy-b", hook("return SetupResult(env={'DUMMY_BOTH': 'b'})"))
    site.install("dummy-a", hook("return SetupResult(env={'DUMMY_BOTH': 'a'})"))
    run(site)
    assert os.environ["DUMMY_BOTH"] == "b"
    assert "Plugins dummy-a and dummy-b both set the environment variable DUMMY_BOTH" in caplog.text


@pytest.mark.parametrize(
    ("body", "options", "is_fatal"),
    [
        ("raise ValueError('no')", "", True),
        ("raise ValueError('no')", "(required=True)", True),
        ("raise ValueError('no')", "(required=False)", False),
        ("return SetupResult(env={}, required=True)", "", True),
        ("return SetupResult(env={}, required=False)", "", False),
        ("return None", "", False),
        ("return None", "(required=True)", True),
        ("import threading; threading.Event().wait()", "", False),
        ("import threading; threading.Event().wait()", "(required=True)", True),
    ],
)
def test_strict_mode_ends_the_process_for_required_plugins(site, caplog, body, options, is_fatal):
    site.install("dummy-strict", hook(body, options))
    if not is_fatal:
        assert run(site, strict=True, setup_timeout_seconds=0.2)
        return
    with pytest.raises(SystemExit) as ended:
        run(site, strict=True, setup_timeout_seconds=0.2)
    assert ended.value.code == 1
    assert "dummy-strict" in caplog.text


def test_a_plugin_for_another_api_is_skipped_with_the_documented_warning(site, caplog):
    site.install("dummy-new", 'HEADRACE_PLUGIN_API_REQUIRES = ">=1.0"\n' + hook("return None"))
    assert run(site)["dummy-new"].state is SetupState.SKIPPED
    assert "Skipping plugin dummy-new: requires API version >=1.0, current version is 0.1" in caplog.text


def test_secrets_are_hidden_in_summaries_and_logs(site, caplog):
    site.install(
        "dummy-secret",
        hook("return SetupResult(env={'DUMMY_SECRET_ACCESS_KEY': 'hunter2', 'DUMMY_DSN': 'hunter2', 'DUMMY_REGION': 'x'})"),
    )
    with caplog.at_level(logging.DEBUG, "headrace.plugins"):
        summary = run(site)["dummy-secret"]
    assert summary.env_preview == {"DUMMY_SECRET_ACCESS_KEY": "••••••", "DUMMY_DSN": "••••••", "DUMMY_REGION": "x"}
    assert "hunter2" not in caplog.text + repr(summary)
    assert os.environ["DUMMY_SECRET_ACCESS_KEY"] == "hunter2"


def test_it_runs_once_in_a_process_and_not_from_inside_a_hook(site, python, tmp_path):
    site.install(
        "dummy-once",
        """
        from pathlib import Path
        from headrace.plugin import register_hook
        from headrace.plugin.startup import run_once

        @register_hook
        def setup_environment(ctx):
            with open("calls.txt", "a") as file:
                file.write(f"{run_once()}\\n")
        """,
    )
    done = python(
        """
        import asyncio
        from headrace.plugin.startup import run_once

        async def inside_a_loop():
            return len(run_once()), len(run_once())

        print(asyncio.run(inside_a_loop()), len(run_once()))
        """,
        HEADRACE_PLUGINS_ENABLED="1",
        HEADRACE_PLUGINS_ALLOW="dummy-once",
    )
    assert (done.returncode, done.stdout) == (0, "(1, 0) 0\n"), done.stderr
    assert Path("calls.txt").read_text() == "[]\n"


FLOW = """
    import os
    from headrace import flow

    @flow
    def show() -> str:
        return os.environ.get("DUMMY_TOKEN", "none")

    print(show())
"""


def test_a_flow_sees_what_the_hook_prepared(site, python):
    site.install("dummy-env", hook("return SetupResult(env={'DUMMY_TOKEN': 'fresh'})"))
    assert python(FLOW, HEADRACE_PLUGINS_ENABLED="1", HEADRACE_PLUGINS_ALLOW="dummy-env").stdout == "fresh\n"
    assert python(FLOW).stdout == "none\n"


def test_a_flow_does_not_run_without_a_required_plugin_in_strict_mode(site, python):
    site.install("dummy-env", hook("return SetupResult(env={}, required=True)"))
    done = python(FLOW, HEADRACE_PLUGINS_ENABLED="1", HEADRACE_PLUGINS_STRICT="1", HEADRACE_PLUGINS_ALLOW="dummy-env")
    assert (done.returncode, done.stdout) == (1, "")
    assert "dummy-env: required, but it set no variable" in done.stderr


def test_importing_headrace_runs_and_imports_no_plugin(site, python):
    site.install("dummy-import", "raise SystemExit('imported')")
    done = python(
        """
        import sys
        import headrace
        print([m for m in sys.modules if m.startswith("dummy")], "headrace.plugin" in sys.modules)
        """,
        HEADRACE_PLUGINS_ENABLED="1",
    )
    assert done.stdout == "[] False\n", done.stderr


def test_the_first_plugin_that_answers_gives_the_database_arguments(site, caplog):
    site.install(
        "dummy-a",
        "from headrace.plugin import register_hook\n@register_hook\n"
        "def set_database_connection_params(connection_url, settings):\n    raise ValueError('no token')\n",
    )
    site.install(
        "dummy-b",
        "from headrace.plugin import hookimpl\n@hookimpl\n"
        "def headrace_database_connection(context):\n    return {'password': context.connection_url[:4]}\n",
    )
    site.install(
        "dummy-c",
        "from headrace.plugin import hookimpl\n@hookimpl\ndef headrace_database_connection():\n    return {'password': 'never'}\n",
    )
    arguments = startup.database_connection_arguments("post://", None, site.registry(enabled=True))
    assert arguments == {"password": "post"}
    assert "database hook of plugin dummy-a failed: ValueError: no token" in caplog.text
    assert startup.database_connection_arguments("post://", None, site.registry()) == {}
