"""What runs log: to the console and to their stored log."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from engine.modes import Stored
from headrace import flow, task
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.spool import close_process_spool
from headrace.context import FlowRunContext, with_context
from headrace.logging import LogEavesdropper, disable_run_logger, get_logger, get_run_logger
from headrace.logging.configuration import setup_logging
from headrace.logging.filters import ObfuscateApiKeyFilter, redact_substr
from headrace.logging.formatters import HeadraceFormatter, JsonFormatter
from headrace.logging.handlers import APILogHandler, emit_api_log, set_api_log_sink
from headrace.logging.loggers import flow_run_logger, get_worker_logger, patch_print, task_run_logger
from headrace.model import ids
from headrace.model.endpoints.logs import FILTER_LOGS
from headrace.model.errors import MissingContextError
from headrace.model.flow_runs import FlowRun
from headrace.model.logs import Log
from headrace.model.run_queries import LogQuery
from headrace.model.task_runs import TaskRun
from headrace.settings import refresh_global_settings_context, temporary_settings


@pytest.fixture(autouse=True)
def fresh_process(home: object) -> Iterator[None]:
    """Begin as a new process would: settings unread, no outbox, logging as by default."""
    refresh_global_settings_context()
    close_process_spool()
    setup_logging(incremental=False)
    yield
    close_process_spool()
    refresh_global_settings_context()


def stored() -> list[Log]:
    """Return what is kept of all runs."""
    return drive(current_client().call(FILTER_LOGS, LogQuery()))


def messages(logs: list[Log]) -> list[str]:
    return [log.message for log in logs]


class TestRunLogger:
    def test_a_line_in_a_task_is_kept_with_its_flow_run_and_task_run(self) -> None:
        seen: dict[str, object] = {}

        @task
        def work() -> None:
            get_run_logger().warning("from %s", "work")

        @flow
        def outer() -> None:
            context = FlowRunContext.get()
            assert context is not None
            seen["flow_run"] = context.flow_run.id
            work()

        outer()
        [line] = [log for log in stored() if log.message == "from work"]
        assert (line.name, line.level, line.flow_run_id) == ("headrace.task_runs", logging.WARNING, seen["flow_run"])
        assert line.task_run_id is not None

    def test_the_console_names_the_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        @flow(flow_run_name="tidy-owl")
        def outer() -> None:
            get_run_logger().info("hello")

        outer()
        lines = capsys.readouterr().err.splitlines()
        assert any(line.endswith("| INFO    | Flow run 'tidy-owl' - hello") for line in lines)
        assert "Beginning flow run 'tidy-owl' for flow 'outer'" in lines[0]
        assert lines[-1].endswith("Finished in state Completed()")

    def test_an_exception_is_kept_with_its_traceback(self) -> None:
        @flow
        def outer() -> None:
            try:
                raise ValueError("broken part")
            except ValueError:
                get_run_logger().exception("it went wrong")

        outer()
        [line] = [log for log in stored() if log.message.startswith("it went wrong")]
        assert "Traceback" in line.message
        assert line.message.endswith("ValueError: broken part")

    def test_a_record_with_send_to_api_false_stays_on_the_console(self, capsys: pytest.CaptureFixture[str]) -> None:
        @flow
        def outer() -> None:
            get_run_logger().info("local only", extra={"send_to_api": False})

        outer()
        assert "local only" in capsys.readouterr().err
        assert "local only" not in messages(stored())

    def test_nothing_is_kept_when_the_setting_says_so(self) -> None:
        @flow
        def outer() -> None:
            get_run_logger().info("unkept")

        with temporary_settings({"logging.to_api.enabled": False}):
            outer()
        assert stored() == []

    def test_a_long_line_is_cut_and_says_so(self) -> None:
        @flow
        def outer() -> None:
            get_run_logger().info("é" * 5_000)

        with temporary_settings({"logging.to_api.max_log_size": 1_000}):
            outer()
        [line] = [log for log in stored() if log.message.startswith("é")]
        assert line.message.endswith("[truncated]")
        assert len(line.message.encode()) <= 1_000

    def test_extra_of_a_record_wins_over_the_loggers_own(self) -> None:
        @flow
        def outer() -> None:
            with LogEavesdropper("headrace.flow_runs") as heard:
                heard.setFormatter(logging.Formatter("%(shard)s %(colour)s %(message)s"))
                get_run_logger(shard="a", colour="red").info("x", extra={"colour": "blue"})
            assert heard.text() == "a blue x"

        outer()

    def test_a_child_keeps_the_fields_of_the_run(self) -> None:
        @flow
        def outer() -> None:
            get_run_logger().getChild("part", {"piece": 1}).info("from a part")  # type: ignore[call-arg]

        outer()
        [line] = [log for log in stored() if log.message == "from a part"]
        assert line.name == "headrace.flow_runs.part"

    def test_outside_runs_there_is_none(self) -> None:
        with pytest.raises(MissingContextError, match="no active flow or task run"):
            get_run_logger()

    def test_outside_runs_with_run_loggers_disabled_it_is_silent(self, capsys: pytest.CaptureFixture[str]) -> None:
        with disable_run_logger():
            get_run_logger().critical("unheard")
        assert "unheard" not in capsys.readouterr().err

    def test_a_context_of_no_run_is_refused(self) -> None:
        with pytest.raises(TypeError, match="'int'"):
            get_run_logger(context=5)  # type: ignore[arg-type]

    def test_a_context_given_is_used(self) -> None:
        @task
        def work() -> None:
            get_run_logger(FlowRunContext.get()).info("for the flow")

        @flow
        def outer() -> None:
            work()

        outer()
        [line] = [log for log in stored() if log.message == "for the flow"]
        assert line.name == "headrace.flow_runs"


class TestOtherLoggers:
    def test_a_flow_run_logger_needs_a_run(self) -> None:
        with pytest.raises(ValueError, match="flow_run_id"):
            flow_run_logger()

    def test_a_flow_run_logger_takes_a_bare_id(self) -> None:
        run_id = ids.new()
        adapter = flow_run_logger(flow_run_id=run_id)
        assert adapter.extra == {"flow_run_id": str(run_id), "flow_run_name": "<unknown>", "flow_name": "<unknown>"}

    def test_a_task_run_logger_outside_runs_knows_what_it_was_given(self) -> None:
        run = TaskRun(name="t-0", task_key="t", dynamic_key="0")
        flow_run = FlowRun(name="owl", flow_id=ids.new())
        adapter = task_run_logger(run, flow_run=flow_run)
        assert adapter.extra is not None
        assert adapter.extra["task_run_id"] == str(run.id)
        assert adapter.extra["flow_run_name"] == "owl"
        assert adapter.extra["task_name"] == "<unknown>"

    def test_a_worker_without_a_backend_has_a_plain_logger(self) -> None:
        class Worker:
            type = "process"
            name = "Worker One"

        assert get_worker_logger(Worker()).name == "headrace.worker.process.worker one"

    @pytest.mark.parametrize(("name", "full"), [(None, "headrace"), ("a", "headrace.a"), ("headrace.b", "headrace.b")])
    def test_the_machinerys_loggers_are_children(self, name: str | None, full: str) -> None:
        assert get_logger(name).name == full

    def test_an_eavesdropper_hears_children_too(self) -> None:
        logging.getLogger("parent").setLevel(logging.INFO)
        with LogEavesdropper("parent", level=logging.INFO) as heard:
            logging.getLogger("parent").info("one")
            logging.getLogger("parent.child").info("two")
            logging.getLogger("parent").debug("too quiet")
        logging.getLogger("parent").info("after")
        assert heard.text() == "one\ntwo"


class TestMissingRun:
    def test_it_warns_by_default(self) -> None:
        with pytest.warns(UserWarning, match="'headrace.flow_runs' was used outside a run"):
            logging.getLogger("headrace.flow_runs").warning("lost")

    def test_it_raises_when_told_to(self) -> None:
        with temporary_settings({"logging.to_api.when_missing_flow": "error"}), pytest.raises(MissingContextError, match="outside a run"):
            logging.getLogger("headrace.flow_runs").warning("lost")

    @pytest.mark.filterwarnings("error")
    def test_it_says_nothing_when_told_to(self) -> None:
        with temporary_settings({"logging.to_api.when_missing_flow": "ignore"}):
            logging.getLogger("headrace.flow_runs").warning("lost")
        assert stored() == []


class TestPrints:
    def test_prints_are_lines_of_the_run_they_are_called_in(self, capsys: pytest.CaptureFixture[str]) -> None:
        @task
        def inner() -> None:
            print("from", "inner", sep="-")

        @task(log_prints=False)
        def quiet() -> None:
            print("from quiet")

        @flow(log_prints=True)
        def outer() -> None:
            print("from outer")
            inner()
            quiet()
            print("after")

        outer()
        kept = {log.message: (log.name, log.level) for log in stored()}
        assert kept["from outer"] == ("headrace.flow_runs", logging.INFO)
        assert kept["from-inner"] == ("headrace.task_runs", logging.INFO)
        assert "after" in kept
        assert "from quiet" not in kept
        assert capsys.readouterr().out == "from quiet\n"

    def test_a_task_may_log_prints_where_its_flow_does_not(self) -> None:
        @task(log_prints=True)
        def inner() -> None:
            print("from inner")

        @flow
        def outer() -> None:
            print("from outer")
            inner()

        outer()
        kept = messages(stored())
        assert "from inner" in kept
        assert "from outer" not in kept

    def test_threads_outside_the_run_and_other_files_are_left_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        @flow(log_prints=True)
        def outer() -> None:
            thread = threading.Thread(target=print, args=("from a thread",))
            thread.start()
            thread.join()
            with open("elsewhere.txt", "w") as file:
                print("to a file", file=file)
            print("to stderr", file=sys.stderr)

        outer()
        assert capsys.readouterr().out == "from a thread\n"
        assert Path("elsewhere.txt").read_text() == "to a file\n"
        kept = messages(stored())
        assert "to stderr" in kept
        assert "to a file" not in kept

    def test_the_setting_is_the_default(self) -> None:
        @flow
        def outer() -> None:
            print("by setting")

        with temporary_settings({"logging.log_prints": True}):
            outer()
        assert "by setting" in messages(stored())

    def test_outside_runs_print_prints(self, capsys: pytest.CaptureFixture[str]) -> None:
        with patch_print():
            print("plain")
        assert capsys.readouterr().out == "plain\n"


class TestSecrets:
    def test_the_api_key_is_masked_everywhere(self, capsys: pytest.CaptureFixture[str]) -> None:
        @flow
        def outer() -> None:
            logger = get_run_logger()
            logger.info("key is %s", "sesame-open-1234")
            try:
                raise ValueError("rejected sesame-open-1234")
            except ValueError:
                logger.exception("no")

        with temporary_settings({"api.key": "sesame-open-1234"}):
            outer()
        shown = capsys.readouterr().err
        assert "key is ********" in shown
        assert "sesame" not in shown
        assert not any("sesame" in message for message in messages(stored()))

    def test_the_filter_masks_nested_arguments(self) -> None:
        record = logging.LogRecord("x", 20, "f", 1, "sent %s", ({"auth": ["secret-key"]},), None)
        with temporary_settings({"api.key": "secret-key"}):
            assert ObfuscateApiKeyFilter().filter(record)
        assert record.getMessage() == "sent {'auth': ['********']}"

    def test_values_that_are_no_text_are_left_as_they_are(self) -> None:
        assert redact_substr({"a": ("xkeyx", 5)}, "key") == {"a": ("x********x", 5)}


class TestHanding:
    def test_a_sink_gets_records_instead_of_the_outbox(self) -> None:
        taken: list[dict[str, object]] = []

        @flow
        def outer() -> None:
            set_api_log_sink(taken.append)
            try:
                get_run_logger().info("to the sink")
            finally:
                set_api_log_sink(None)

        outer()
        assert [log["message"] for log in taken] == ["to the sink"]
        assert "to the sink" not in messages(stored())
        emit_api_log(taken[0])
        APILogHandler().flush()
        close_process_spool()
        assert "to the sink" in messages(stored())

    def test_an_outbox_that_cannot_be_written_is_reported_once(self, home: object, capsys: pytest.CaptureFixture[str]) -> None:
        run_id = str(ids.new())
        (home / "spool").parent.mkdir(parents=True, exist_ok=True)  # type: ignore[operator]
        (home / "spool").write_text("in the way")  # type: ignore[operator]
        logger = logging.getLogger("headrace.flow_runs")
        logger.info("first", extra={"flow_run_id": run_id})
        logger.info("second", extra={"flow_run_id": run_id})
        shown = capsys.readouterr().err
        assert shown.count("cannot be kept") == 1
        assert "second" in shown

    def test_another_process_logs_to_the_run_it_was_given(self) -> None:
        @flow
        def outer() -> None:
            process = get_context("fork").Process(target=with_context(_log_elsewhere))
            process.start()
            process.join()
            assert process.exitcode == 0

        outer()
        close_process_spool()
        assert "from elsewhere" in messages(stored())


def _log_elsewhere() -> None:
    get_run_logger().info("from elsewhere")
    close_process_spool()


class TestFormatters:
    def test_a_record_without_a_run_is_written_by_the_standard_format(self) -> None:
        formatter = HeadraceFormatter("std %(message)s", flow_run_fmt="flow %(flow_run_name)s %(message)s")
        record = logging.LogRecord("headrace.flow_runs", 20, "f", 1, "x", (), None)
        assert formatter.format(record) == "std x"
        record.flow_run_name = "owl"
        assert formatter.format(record) == "flow owl x"

    def test_json_holds_the_fields_and_the_exception(self) -> None:
        try:
            raise KeyError("k")
        except KeyError:
            record = logging.LogRecord("n", 40, "f", 7, "at %s", ("x",), sys.exc_info())
        fields = json.loads(JsonFormatter().format(record))
        assert (fields["message"], fields["levelname"], fields["lineno"]) == ("at x", "ERROR", 7)
        assert fields["exc_info"]["type"] == "KeyError"
        assert "\n" in JsonFormatter("pretty").format(record)

    def test_another_json_style_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'default' or 'pretty'"):
            JsonFormatter("wide")


def test_lines_of_a_worker_that_the_api_knows_are_kept_without_a_run(stored: Stored) -> None:
    from headrace.logging.handlers import WorkerAPILogHandler

    logger = logging.getLogger("headrace.worker.process.mine")
    handler = WorkerAPILogHandler()
    logger.addHandler(handler)
    try:
        logger.warning("unknown")
        logger.warning("known", extra={"worker_id": "w1"})
    finally:
        logger.removeHandler(handler)
    assert stored.logs() == "known"
    record = logging.makeLogRecord({"msg": "x", "worker_id": "w1"})
    assert (handler.prepare(record)["worker_id"], handler.prepare(record)["flow_run_id"]) == ("w1", None)
