"""How logging is configured: the default, variables, the user's file, and a terminal's colours."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from logging.config import dictConfig
from pathlib import Path

import pytest
import yaml

from headrace.logging.configuration import load_logging_config, setup_logging
from headrace.logging.handlers import HeadraceConsoleHandler
from headrace.logs.config import default_config
from headrace.model import ids
from headrace.model.errors import ConfigurationError
from headrace.settings import get_current_settings, refresh_global_settings_context, temporary_settings


@pytest.fixture(autouse=True)
def fresh_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin as a new process would, and leave logging as by default."""
    refresh_global_settings_context()
    yield
    for name in [name for name in os.environ if name.startswith("HEADRACE_LOGGING")]:
        monkeypatch.delenv(name)
    (home / "logging.yml").unlink(missing_ok=True)
    refresh_global_settings_context()
    setup_logging(incremental=False)


def described() -> dict[str, object]:
    """Return what is in force: levels, kinds of handlers and their formats, by logger."""
    names = ("", "headrace", "headrace.extra", "headrace.flow_runs", "headrace.task_runs")
    return {
        name: (
            logging.getLogger(name).level,
            [
                (type(handler).__name__, handler.level, vars(handler.formatter).keys() if handler.formatter else None)
                for handler in logging.getLogger(name).handlers
                if type(handler).__module__.startswith("headrace")
            ],
        )
        for name in names
    }


def test_the_default_by_hand_is_the_default_as_data() -> None:
    setup_logging(incremental=False)
    by_hand = described()
    kept = list(logging.root.handlers)
    dictConfig(default_config(get_current_settings()))
    as_data = described()
    logging.root.handlers[:] = kept
    assert by_hand == as_data


def test_the_default_in_the_docs_is_the_default() -> None:
    page = (Path(__file__).parents[2] / "core" / "docs" / "logging.md").read_text()
    text = page.split("```yaml\n")[1].split("```")[0]
    shown = yaml.safe_load(text.replace("${HEADRACE_LOGGING_LEVEL}", "INFO"))
    default = default_config(get_current_settings())
    for part in ("formatters", "handlers"):
        for entry in [*shown[part].values(), *default[part].values()]:
            for key in {"()", "class"} & entry.keys():
                entry[key] = entry[key].rpartition(".")[2]  # the docs name the documented modules
    assert shown == default


def test_the_level_setting_holds_for_runs() -> None:
    with temporary_settings({"logging.level": "ERROR"}):
        setup_logging(incremental=False)
        assert logging.getLogger("headrace.flow_runs").getEffectiveLevel() == logging.ERROR
        assert logging.root.level == logging.WARNING


def test_a_variable_replaces_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL", "ERROR")
    monkeypatch.setenv("HEADRACE_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT", "%(flow_run_id)s - %(message)s")
    monkeypatch.setenv("HEADRACE_LOGGING_LOGGERS_HEADRACE_TASK_RUNS_HANDLERS", "api,console")
    config = setup_logging(incremental=False)
    assert config["loggers"]["headrace.task_runs"]["handlers"] == ["api", "console"]
    assert logging.getLogger("headrace.flow_runs").level == logging.ERROR
    assert logging.getLogger("headrace.task_runs").level == logging.NOTSET


def test_a_variable_without_a_key_is_left_out_with_a_warning_of_near_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUN_LEVEL", "ERROR")
    with pytest.warns(UserWarning, match="Did you mean 'LOGGERS_HEADRACE_FLOW_RUNS_LEVEL'"):
        setup_logging(incremental=False)
    assert logging.getLogger("headrace.flow_runs").level == logging.NOTSET


def test_a_file_in_the_home_replaces_the_default(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "logging.yml").write_text(
        """
version: 1
disable_existing_loggers: false
formatters:
  mine: {"()": headrace.logging.formatters.HeadraceFormatter, format: "mine %(message)s"}
handlers:
  console: {class: headrace.logging.handlers.HeadraceConsoleHandler, formatter: mine}
loggers:
  headrace: {level: "${HEADRACE_LOGGING_LEVEL}", handlers: [console], propagate: false}
"""
    )
    with temporary_settings({"logging.level": "DEBUG"}):
        config = load_logging_config(home / "logging.yml")
    assert config["loggers"]["headrace"]["level"] == "DEBUG"
    setup_logging(incremental=False)
    assert logging.getLogger("headrace").propagate is False
    logging.getLogger("headrace").propagate = True
    logging.getLogger("headrace").handlers.clear()


@pytest.mark.parametrize("content", ["version: [", "just text", "version: 1\nhandlers: {a: {class: nowhere.Handler}}"])
def test_a_broken_file_is_an_error_that_names_it_or_the_fault(home: Path, content: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "logging.yml").write_text(content)
    with pytest.raises(ConfigurationError, match=r"logging\.yml|nowhere"):
        setup_logging(incremental=False)


def test_incremental_changes_levels_alone() -> None:
    setup_logging(incremental=False)
    before = list(logging.root.handlers)
    with temporary_settings({"logging.level": "DEBUG"}):
        setup_logging()
    assert logging.getLogger("headrace").level == logging.DEBUG
    assert logging.root.handlers == before


def test_extra_loggers_record_into_runs() -> None:
    with temporary_settings({"logging.extra_loggers": "some_library"}):
        setup_logging(incremental=False)
    library = logging.getLogger("some_library")
    assert [type(handler).__name__ for handler in library.handlers] == ["APILogHandler"]
    assert library.level == logging.INFO
    library.handlers.clear()
    library.setLevel(logging.NOTSET)


PROGRAM = """
import logging, sys
{before}
from headrace.logging.configuration import ensure_logging_setup
ensure_logging_setup()
logging.getLogger("headrace.flow_runs").warning("line", extra={{"flow_run_id": "{id}", "flow_run_name": "owl", "send_to_api": False}})
print([name for name in ("rich", "yaml", "logging.config", "sqlalchemy", "asyncio") if name in sys.modules])
"""


def run_program(before: str = "") -> subprocess.CompletedProcess[str]:
    code = PROGRAM.format(before=before, id=ids.new())
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_the_default_needs_none_of_the_heavy_modules() -> None:
    done = run_program()
    assert done.stdout == "[]\n"
    assert done.stderr.endswith("| WARNING | Flow run 'owl' - line\n")


def test_a_console_handler_of_the_program_is_not_doubled() -> None:
    done = run_program("logging.basicConfig(format='theirs %(message)s', level=logging.INFO)")
    assert done.stderr == "theirs line\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(handler: HeadraceConsoleHandler, message: str = "Finished in state Completed() https://x.y/z") -> str:
    record = logging.LogRecord("headrace.flow_runs", 20, "f", 1, message, (), None)
    record.flow_run_name = "owl"
    handler.setFormatter(logging.Formatter("%(levelname)s Flow run %(flow_run_name)r %(message)s"))
    handler.emit(record)
    text = handler.stream
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def test_a_terminal_gets_colours() -> None:
    text = written(HeadraceConsoleHandler(Terminal()))
    assert "\x1b[36mINFO\x1b[0m" in text
    assert "\x1b[32mCompleted\x1b[0m()" in text
    assert "\x1b[35m'owl'\x1b[0m" in text
    assert "\x1b[1;34mhttps://x.y/z\x1b[0m" in text


def test_a_file_gets_plain_text() -> None:
    assert "\x1b" not in written(HeadraceConsoleHandler(io.StringIO()))


def test_no_color_and_the_setting_turn_colours_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_settings({"logging.colors": False}):
        assert "\x1b" not in written(HeadraceConsoleHandler(Terminal()))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in written(HeadraceConsoleHandler(Terminal()))


def test_a_highlighter_of_the_users_styles_its_groups() -> None:
    from headrace.logging.highlighters import HeadraceConsoleHighlighter

    class WithEmails(HeadraceConsoleHighlighter):
        highlights = [*HeadraceConsoleHighlighter.highlights, r"(?P<email>[\w-]+@([\w-]+\.)+[\w-]+)"]

    handler = HeadraceConsoleHandler(Terminal(), highlighter=WithEmails, styles={"log.email": "magenta"})
    assert "\x1b[35mme@example.org\x1b[0m" in written(handler, "write to me@example.org")


def test_markup_is_read_only_when_asked_for() -> None:
    assert "[red]x[/]" in written(HeadraceConsoleHandler(io.StringIO()), "[red]x[/]")
    with temporary_settings({"logging.markup": True}):
        assert "[red]" not in written(HeadraceConsoleHandler(Terminal()), "[red]x[/]")
