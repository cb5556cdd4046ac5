"""What code can ask about its run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from headrace import flow, tags, task
from headrace.client.spool import close_process_spool
from headrace.context import FlowRunContext, TaskRunContext, get_run_context
from headrace.model.errors import MissingContextError
from headrace.runtime import deployment, flow_run, task_run
from headrace.settings import refresh_global_settings_context, temporary_settings


@pytest.fixture(autouse=True)
def fresh_process(home: object) -> Iterator[None]:
    """Begin as a new process would."""
    refresh_global_settings_context()
    close_process_spool()
    yield
    close_process_spool()
    refresh_global_settings_context()


def test_outside_runs_everything_is_empty() -> None:
    empty = {name: getattr(flow_run, name) for name in dir(flow_run) if not name.startswith(("get_", "_"))}
    moment = empty.pop("scheduled_start_time")
    assert isinstance(moment, datetime)
    assert moment.tzinfo is not None
    assert {name: value for name, value in empty.items() if value is not None} == {"tags": [], "run_count": 0, "parameters": {}}
    assert (task_run.id, task_run.name, task_run.tags, task_run.run_count, task_run.parameters) == (None, None, [], 0, {})
    assert (deployment.id, deployment.name, deployment.version, deployment.flow_run_id, deployment.parameters) == (None,) * 4 + ({},)


def test_a_run_knows_itself() -> None:
    seen: dict[str, object] = {}

    @task(tags={"a-task"})
    def work(x: int) -> None:
        seen["task"] = (task_run.task_name, task_run.name, task_run.tags, task_run.run_count, task_run.parameters)
        seen["task_id"] = task_run.id
        seen["flow of task"] = flow_run.id

    @flow(flow_run_name="tidy-owl", version="7")
    def outer(n: int) -> None:
        context = FlowRunContext.get()
        assert context is not None
        seen["own id"] = str(context.flow_run.id)
        seen["flow"] = (flow_run.flow_name, flow_run.name, flow_run.flow_version, flow_run.tags, flow_run.parameters, flow_run.run_count)
        work(n + 1)

    with tags("a-tag"):
        outer(1)
    assert seen["flow"] == ("outer", "tidy-owl", "7", ["a-tag"], {"n": 1}, 1)
    assert seen["task"] == ("work", "work-0", ["a-tag", "a-task"], 1, {"x": 2})
    assert seen["flow of task"] == seen["own id"]
    assert seen["task_id"] is not None


def test_parameters_are_the_live_values() -> None:
    @flow
    def outer(when: datetime) -> object:
        return flow_run.parameters["when"]

    assert outer("2024-01-02T03:04:05Z") == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)  # type: ignore[arg-type]


def test_a_subflow_knows_its_parent_and_the_outermost_run() -> None:
    seen: dict[str, object] = {}

    @flow
    def innermost() -> None:
        seen["innermost"] = (flow_run.parent_flow_run_id, flow_run.root_flow_run_id)

    @flow
    def middle() -> None:
        seen["middle id"] = flow_run.id
        innermost()

    @flow
    def outermost() -> None:
        seen["outer id"] = flow_run.id
        seen["outer"] = (flow_run.parent_flow_run_id, flow_run.root_flow_run_id)
        middle()

    outermost()
    assert seen["innermost"] == (seen["middle id"], seen["outer id"])
    assert seen["outer"] == (None, seen["outer id"])


def test_a_process_started_for_a_run_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str | None] = {}

    @flow(flow_run_name="inner-owl")
    def inner(n: int) -> None:
        seen["inner"] = flow_run.id

    @flow
    def outer() -> None:
        seen["outer"] = flow_run.id
        inner(3)

    outer()
    close_process_spool()
    assert seen["inner"] is not None
    monkeypatch.setenv("HEADRACE__FLOW_RUN_ID", seen["inner"])
    assert (flow_run.id, flow_run.name, flow_run.flow_name, flow_run.parameters) == (seen["inner"], "inner-owl", "inner", {"n": 3})
    assert (flow_run.parent_flow_run_id, flow_run.root_flow_run_id, flow_run.parent_deployment_id) == (seen["outer"], seen["outer"], None)
    assert deployment.flow_run_id == seen["inner"]
    assert deployment.parameters == {"n": 3}


def test_addresses_need_an_api() -> None:
    @flow
    def outer() -> tuple[str | None, ...]:
        with temporary_settings({"api.url": "http://127.0.0.1:4200/api"}):
            return flow_run.id, flow_run.api_url, flow_run.ui_url

    run_id, api_url, ui_url = outer()
    assert api_url == f"http://127.0.0.1:4200/api/flow_runs/{run_id}"
    assert ui_url == f"http://127.0.0.1:4200/runs/flow-run/{run_id}"


class TestReplacements:
    def test_a_variable_replaces_an_attribute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEADRACE__RUNTIME__FLOW_RUN__NAME", "m")
        monkeypatch.setenv("HEADRACE__RUNTIME__TASK_RUN__ID", "7")
        assert flow_run.name == "m"
        assert task_run.id == "7"

    def test_it_takes_the_type_of_the_real_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEADRACE__RUNTIME__FLOW_RUN__RUN_COUNT", "4")
        monkeypatch.setenv("HEADRACE__RUNTIME__FLOW_RUN__SCHEDULED_START_TIME", "2024-01-02T03:04:05")
        assert flow_run.run_count == 4
        assert flow_run.scheduled_start_time == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)

    def test_a_value_that_does_not_fit_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEADRACE__RUNTIME__FLOW_RUN__RUN_COUNT", "many")
        with pytest.raises(ValueError, match="HEADRACE__RUNTIME__FLOW_RUN__RUN_COUNT is 'many', which is no int"):
            _ = flow_run.run_count

    @pytest.mark.parametrize("name", ["parameters", "tags"])
    def test_lists_and_mappings_cannot_be_replaced(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(f"HEADRACE__RUNTIME__FLOW_RUN__{name.upper()}", "{}")
        with pytest.raises(ValueError, match="only single values"):
            getattr(flow_run, name)

    def test_a_name_that_only_a_variable_knows_is_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEADRACE__RUNTIME__DEPLOYMENT__REGION", "12")
        assert deployment.region == "12"

    def test_other_names_are_unknown_and_near_ones_are_listed(self) -> None:
        with pytest.raises(AttributeError, match=r"headrace\.runtime\.flow_run.*'nme'.*Did you mean 'name'"):
            _ = flow_run.nme


class TestRunContext:
    def test_it_is_the_tasks_inside_a_task_and_the_flows_elsewhere(self) -> None:
        kinds: list[type] = []

        @task
        def work() -> None:
            kinds.append(type(get_run_context()))

        @flow
        def outer() -> None:
            kinds.append(type(get_run_context()))
            work()

        outer()
        assert kinds == [FlowRunContext, TaskRunContext]

    def test_outside_there_is_none(self) -> None:
        with pytest.raises(MissingContextError):
            get_run_context()
