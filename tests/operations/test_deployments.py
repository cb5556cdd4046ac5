"""Deployments: made and made anew, changed, paused, found, deleted; runs made of them on request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from headrace.model import clock, ids
from headrace.model.caller import SERVICE
from headrace.model.deployments import (
    DeploymentBulkDelete,
    DeploymentCreate,
    DeploymentFlowRunCreate,
    DeploymentPageQuery,
    DeploymentQuery,
    DeploymentUpdate,
    ScheduledRunsQuery,
)
from headrace.model.endpoints import concurrency, deployments, flow_runs, flows, task_runs, variables, work_pools, work_queues
from headrace.model.errors import InvalidRequest, ObjectAlreadyExists, ObjectNotFound
from headrace.model.flows import FlowCreate
from headrace.model.run_queries import FlowQuery, FlowRunQuery, RunScope
from headrace.model.schedules import DeploymentScheduleCreate, DeploymentScheduleUpdate
from headrace.model.task_runs import TaskRunCreate
from headrace.model.variables import VariableCreate
from headrace.model.work_pools import GetScheduledFlowRuns, WorkPoolCreate
from headrace.model.work_queues import WorkQueueCreate
from headrace.operations.deployments import deployment_readiness
from operations.deployed import HOURLY, deploy, propose, runs_of

Call = Callable[..., Any]

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "note": {"type": "string"}}, "required": ["n"]}
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "cpu": "{{ cpu }}"},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}, "cpu": {"type": "integer"}}, "required": ["cpu"]},
}


def read(call: Call, deployment: Any) -> Any:
    return call(deployments.READ_DEPLOYMENT, id=deployment.id)


def update(call: Call, deployment: Any, **fields: Any) -> Any:
    call(deployments.UPDATE_DEPLOYMENT, DeploymentUpdate.model_validate(fields), id=deployment.id)
    return read(call, deployment)


def run(call: Call, deployment: Any, **fields: Any) -> Any:
    return call(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate.model_validate(fields), id=deployment.id)


def told_of_deployments(server: Any) -> list[Any]:
    published = [event for topic, events in server.published for event in events if topic == "events"]
    return [event for event in published if event.event.startswith("prefect.deployment.")]


# --- making and changing ------------------------------------------------------------------------------------------------


def test_second_create_writes_what_is_given_and_replaces_the_schedules(server: Any) -> None:
    server(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="wp", type="process"))
    first = deploy(
        server, work_pool_name="wp", schedules=[{**HOURLY, "slug": "s1"}], concurrency_limit=1, tags=["a"], parameter_openapi_schema=SCHEMA
    )
    body = DeploymentCreate(name="d", flow_id=first.flow_id, version="2")
    second, status = server.answer(deployments.CREATE_DEPLOYMENT, body, SERVICE)
    assert (second.id, status, second.version, second.schedules) == (first.id, 200, "2", [])
    kept = ("tags", "work_pool_name", "work_queue_id", "parameter_openapi_schema", "global_concurrency_limit", "created")
    assert [getattr(second, name) for name in kept] == [getattr(first, name) for name in kept]


def test_fields_that_are_not_given_have_the_documented_values(call: Call) -> None:
    made = deploy(call)
    shown = made.model_dump(mode="json", exclude={"id", "created", "updated", "flow_id", "name", "labels"})
    assert {name: value for name, value in shown.items() if value is not None} == {
        "paused": False,
        "schedules": [],
        "job_variables": {},
        "parameters": {},
        "tags": [],
        "parameter_openapi_schema": {},
        "pull_steps": [],
        "status": "NOT_READY",
        "enforce_parameter_schema": True,
    }
    assert made.labels == {"prefect.flow.id": str(made.flow_id)}


def test_deployment_needs_a_flow_and_a_pool_that_exist(call: Call) -> None:
    with pytest.raises(InvalidRequest) as refused:
        call(deployments.CREATE_DEPLOYMENT, DeploymentCreate(name="d", flow_id=ids.new()))
    assert refused.value.status == 409
    with pytest.raises(ObjectNotFound, match='Work pool "none" not found'):
        deploy(call, work_pool_name="none")
    with pytest.raises(ObjectNotFound, match="Deployment not found"):
        call(deployments.READ_DEPLOYMENT_BY_NAME, flow_name="f", deployment_name="d")


def test_patch_writes_what_is_given(call: Call) -> None:
    made = deploy(call, description="old", tags=["a"], version="1", parameters={"n": 1}, pull_steps=[{"s": {}}])
    changed = update(call, made, version="2", description=None, parameters={"n": 2}, pull_steps=None)
    assert (changed.version, changed.description, changed.parameters, changed.pull_steps, changed.tags) == ("2", None, {"n": 2}, None, ["a"])
    assert changed.updated > made.updated


def test_work_queue_is_made_when_missing_and_left_with_the_pool(call: Call) -> None:
    call(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="wp", type="process"))
    made = deploy(call, work_pool_name="wp")
    assert (made.work_pool_name, made.work_queue_name) == ("wp", "default")
    assert update(call, made, work_queue_name="fast").work_queue_name == "fast"
    assert call(work_queues.READ_POOL_QUEUE, work_pool_name="wp", name="fast").priority == 2
    left = update(call, made, work_pool_name=None, work_queue_name=None)
    assert (left.work_pool_name, left.work_queue_id) == (None, None)
    alone = deploy(call, name="agent", work_queue_name="old")
    assert (alone.work_pool_name, alone.work_queue_name) == ("default-agent-pool", "old")


def test_job_variables_fit_the_pool(call: Call) -> None:
    call(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="wp", type="process", base_job_template=TEMPLATE))
    with pytest.raises(InvalidRequest, match="Error creating deployment: Validation failed") as refused:
        deploy(call, work_pool_name="wp", job_variables={"command": 1})
    assert refused.value.status == 409
    made = deploy(call, work_pool_name="wp", job_variables={"command": "x"})  # `cpu` may come with the run
    with pytest.raises(InvalidRequest, match="Error updating deployment: Validation failed"):
        update(call, made, job_variables={"cpu": "many"})
    with pytest.raises(InvalidRequest, match="Error creating flow run: Validation failed"):
        run(call, made)
    assert run(call, made, job_variables={"cpu": 1}).job_variables == {"cpu": 1}


def test_limit_belongs_to_the_deployment_or_is_another_one(call: Call) -> None:
    made = deploy(call, concurrency_limit=2)
    assert (made.concurrency_limit, made.global_concurrency_limit.limit) == (None, 2)
    assert made.global_concurrency_limit.name == f"deployment:{made.id}"
    assert update(call, made, concurrency_limit=3).global_concurrency_limit.limit == 3
    shared = call(concurrency.CREATE_LIMIT, concurrency.CREATE_LIMIT.body(name="shared", limit=7))
    assert update(call, made, global_concurrency_limit_id=shared.id).global_concurrency_limit.name == "shared"
    assert update(call, made, concurrency_limit=None).global_concurrency_limit.name == "shared"  # only its own goes
    assert update(call, made, global_concurrency_limit_id=None).global_concurrency_limit is None
    with pytest.raises(ObjectNotFound):
        call(concurrency.READ_LIMIT, id_or_name=f"deployment:{made.id}")


def test_patched_parameters_fit_their_schema(call: Call) -> None:
    made = deploy(call, parameter_openapi_schema=SCHEMA)
    with pytest.raises(InvalidRequest, match="Error updating deployment: Validation failed") as refused:
        update(call, made, parameters={"n": "x"})
    assert refused.value.status == 409
    assert update(call, made, parameters={"note": None}).parameters == {"note": None}  # `n` may come with the run
    assert update(call, made, parameters={"n": "x"}, enforce_parameter_schema=False).parameters == {"n": "x"}


# --- schedules ----------------------------------------------------------------------------------------------------------


def test_schedules_with_slugs_are_patched_renamed_made_and_deleted(call: Call) -> None:
    made = deploy(call, schedules=[{**HOURLY, "slug": slug, "parameters": {"of": slug}} for slug in ("a", "b", "c")])
    ids_before = {schedule.slug: schedule.id for schedule in made.schedules}
    given = [
        {"slug": "a", "active": False},
        {"slug": "b2", "replaces": "b", "schedule": {"cron": "0 9 * * *"}},
        {"slug": "new", "schedule": {"cron": "1 1 * * *"}},
    ]
    after = {schedule.slug: schedule for schedule in update(call, made, schedules=given).schedules}
    assert set(after) == {"a", "b2", "new"}
    assert (after["a"].id, after["a"].active, after["a"].parameters) == (ids_before["a"], False, {"of": "a"})
    assert (after["b2"].id, after["b2"].schedule.cron) == (ids_before["b"], "0 9 * * *")


def test_schedules_that_cannot_be_told_apart_are_refused(call: Call) -> None:
    made = deploy(call, schedules=[{**HOURLY, "slug": "a"}])
    with pytest.raises(InvalidRequest, match="provide a slug") as refused:
        update(call, made, schedules=[HOURLY])
    assert refused.value.status == 422
    with pytest.raises(InvalidRequest, match="must say when it fires"):
        update(call, made, schedules=[{"slug": "new"}])
    with pytest.raises(InvalidRequest, match="Several schedules have the slug 'x'"):
        deploy(call, name="twice", schedules=[{**HOURLY, "slug": "x"}, {**HOURLY, "slug": "x"}])
    with pytest.raises(InvalidRequest, match="more than the 50"):
        deploy(call, name="many", schedules=[{**HOURLY, "max_scheduled_runs": 51}])


def test_two_schedules_may_swap_their_slugs(call: Call) -> None:
    made = deploy(call, schedules=[{**HOURLY, "slug": "a", "parameters": {"n": 1}}, {**HOURLY, "slug": "b", "parameters": {"n": 2}}])
    given = [{"slug": "b", "parameters": {"n": 1}}, {"slug": "a", "parameters": {"n": 2}}]
    assert {one.slug: one.parameters["n"] for one in update(call, made, schedules=given).schedules} == {"a": 2, "b": 1}


def test_schedules_without_slugs_are_replaced_and_equal_ones_kept(call: Call) -> None:
    made = deploy(call, schedules=[HOURLY, {"schedule": {"cron": "0 9 * * *"}}])
    hourly = next(one for one in made.schedules if hasattr(one.schedule, "interval"))
    after = update(call, made, schedules=[{**HOURLY, "active": False}]).schedules
    assert [(one.id, one.active) for one in after] == [(hourly.id, False)]
    assert update(call, made, version="2").schedules == after
    assert update(call, made, schedules=[]).schedules == []


def test_schedules_one_by_one(call: Call) -> None:
    made = deploy(call)
    (daily,) = call(
        deployments.CREATE_SCHEDULES, [DeploymentScheduleCreate.model_validate({"schedule": {"cron": "0 9 * * *"}, "slug": "d"})], id=made.id
    )
    with pytest.raises(ObjectAlreadyExists, match="slug 'd'"):
        call(deployments.CREATE_SCHEDULES, [DeploymentScheduleCreate.model_validate({**HOURLY, "slug": "d"})], id=made.id)
    call(deployments.UPDATE_SCHEDULE, DeploymentScheduleUpdate(active=False), id=made.id, schedule_id=daily.id)
    (read_again,) = call(deployments.READ_SCHEDULES, id=made.id)
    assert (read_again.active, read_again.slug, read_again.schedule.cron) == (False, "d", "0 9 * * *")
    call(deployments.DELETE_SCHEDULE, id=made.id, schedule_id=daily.id)
    assert call(deployments.READ_SCHEDULES, id=made.id) == []
    for missing in (deployments.DELETE_SCHEDULE, deployments.UPDATE_SCHEDULE):
        with pytest.raises(ObjectNotFound, match="Schedule not found"):
            call(missing, *([DeploymentScheduleUpdate()] if missing.body else []), id=made.id, schedule_id=daily.id)
    with pytest.raises(ObjectNotFound, match="Deployment not found"):
        call(deployments.READ_SCHEDULES, id=ids.new())


# --- runs ---------------------------------------------------------------------------------------------------------------


def test_run_takes_what_it_is_not_given_from_its_deployment(server: Any) -> None:
    server(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="wp", type="process"))
    made = deploy(server, work_pool_name="wp", version="7", tags=["d"], parameters={"n": 1, "note": "x"}, labels={"team": "a"})
    found, status = server.answer(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate(parameters={"n": 2}, tags=["r"]), SERVICE, id=made.id)
    assert status == 201
    assert (found.parameters, found.tags, found.deployment_version) == ({"n": 2, "note": "x"}, ["d", "r"], "7")
    assert (found.work_pool_name, found.work_queue_name, found.work_queue_id) == ("wp", "default", made.work_queue_id)
    assert found.labels == {"prefect.flow.id": str(made.flow_id), "prefect.deployment.id": str(made.id), "team": "a"}
    assert (found.state_name, found.auto_scheduled) == ("Scheduled", False)
    assert found.next_scheduled_start_time == found.expected_start_time
    assert server(flow_runs.READ_FLOW_RUN, id=found.id) == found


def test_repeated_key_answers_the_first_run(server: Any) -> None:
    made = deploy(server)
    body = DeploymentFlowRunCreate(idempotency_key="k")
    answers = [server.answer(deployments.CREATE_RUN_OF_DEPLOYMENT, body, SERVICE, id=made.id) for _ in range(2)]
    assert answers[0][0].id == answers[1][0].id
    assert [status for _, status in answers] == [201, 200]


def test_queue_of_a_run_needs_a_pool(call: Call) -> None:
    with pytest.raises(InvalidRequest, match="has no work pool") as refused:
        run(call, deploy(call), work_queue_name="q")
    assert refused.value.status == 400
    call(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="wp", type="process"))
    assert run(call, deploy(call, name="pooled", work_pool_name="wp"), work_queue_name="q").work_queue_name == "q"


PARAMETERS: list[tuple[dict[str, Any], Any]] = [
    ({"n": 1}, {"n": 1}),
    ({"n": {"__prefect_kind": "none", "value": 3}}, {"n": 3}),
    ({"n": {"__prefect_kind": "json", "value": "[1, {}]"}}, {"n": [1, {}]}),
    ({"n": {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"}}, {"n": "2"}),
    ({"n": {"__prefect_kind": "workspace_variable", "variable_name": "seven"}}, {"n": 7}),
    ({"n": [{"deep": {"__prefect_kind": "json", "value": "null"}}]}, {"n": [{"deep": None}]}),
    ({"n": {"__prefect_kind": "none"}, "m": 1}, {"m": 1}),
]
BAD_PARAMETERS = [
    ({"__prefect_kind": "json", "value": "{"}, "Invalid JSON"),
    ({"__prefect_kind": "jinja", "template": "{{ 1 + "}, "Invalid jinja"),
    ({"__prefect_kind": "workspace_variable", "variable_name": "eight"}, "Variable 'eight' not found"),
    ({"__prefect_kind": "magic"}, "'magic' is no kind of value"),
]


def test_values_that_stand_for_others_are_replaced(call: Call) -> None:
    call(variables.CREATE_VARIABLE, VariableCreate(name="seven", value=7))
    made = deploy(call)
    assert [run(call, made, parameters=given).parameters for given, _ in PARAMETERS] == [expected for _, expected in PARAMETERS]
    for given, message in BAD_PARAMETERS:
        with pytest.raises(InvalidRequest, match=f"Error hydrating flow run parameters: .*{message}") as refused:
            run(call, made, parameters={"n": given})
        assert refused.value.status == 400


def test_parameters_fit_their_schema_unless_that_is_switched_off(call: Call) -> None:
    made = deploy(call, parameter_openapi_schema=SCHEMA)
    for given, reason in (({}, "n is required"), ({"n": "x"}, "n is 'x', not of type integer")):
        with pytest.raises(InvalidRequest, match=f"Error creating flow run: Validation failed.*{reason}") as refused:
            run(call, made, parameters=given)
        assert refused.value.status == 409
    assert run(call, made, parameters={"n": 1, "note": None}).parameters == {"n": 1, "note": None}
    assert run(call, made, parameters={"n": "x"}, enforce_parameter_schema=False).parameters == {"n": "x"}


def test_several_runs_get_an_answer_each(call: Call) -> None:
    made = deploy(call, parameter_openapi_schema=SCHEMA)
    body = [DeploymentFlowRunCreate(parameters={"n": value}) for value in (1, "x", 3)]
    results = call(deployments.CREATE_RUNS_OF_DEPLOYMENT, body, id=made.id).results
    assert [result.status for result in results] == ["CREATED", "FAILED", "CREATED"]
    assert "not of type integer" in results[1].error
    assert {result.flow_run_id for result in results} == {None, *(one.id for one in runs_of(call, made))}
    with pytest.raises(InvalidRequest, match="more than 100") as refused:
        call(deployments.CREATE_RUNS_OF_DEPLOYMENT, [DeploymentFlowRunCreate()] * 101, id=made.id)
    assert refused.value.status == 400


def test_polling_hands_out_due_runs_and_makes_the_deployment_ready(server: Any) -> None:
    made, other = deploy(server), deploy(server, name="other")
    due, _ = run(server, made), run(server, other)
    later = run(server, made, state={"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}})
    retrying = run(server, made, empirical_policy={"retries": 3})
    for kind in ("PENDING", "RUNNING", "FAILED"):
        propose(server, retrying, kind)
    query = ScheduledRunsQuery(deployment_ids=[made.id], scheduled_before=clock.now())
    assert [one.id for one in server(deployments.GET_SCHEDULED_RUNS, query)] == [due.id]
    all_of_it = ScheduledRunsQuery(deployment_ids=[made.id])
    assert [one.id for one in server(deployments.GET_SCHEDULED_RUNS, all_of_it)] == [due.id, later.id]
    polled = read(server, made)
    assert (polled.status, polled.last_polled is not None, read(server, other).status) == ("READY", True, "NOT_READY")
    told = [event.event for event in told_of_deployments(server)]
    assert told == ["prefect.deployment.created", "prefect.deployment.created", "prefect.deployment.ready"]


def test_deployment_is_ready_while_somebody_asks_for_it_or_its_queue(server: Any) -> None:
    server(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="wp", type="process"))
    served, pooled = deploy(server, "served"), deploy(server, "pooled", work_pool_name="wp")
    server(deployments.GET_SCHEDULED_RUNS, ScheduledRunsQuery(deployment_ids=[served.id]))
    server(work_pools.GET_SCHEDULED_FLOW_RUNS, GetScheduledFlowRuns(), name="wp")
    assert [read(server, one).status for one in (served, pooled)] == ["READY", "READY"]
    assert read(server, pooled).last_polled is not None

    def look(seconds: float) -> int:
        with server.database.write(SERVICE) as tx:
            now = clock.now() + timedelta(seconds=seconds)
            return deployment_readiness.mark_deployments_not_ready(tx, now, 10, after=timedelta(seconds=60))

    assert [look(30), look(61), look(61)] == [0, 2, 0]
    assert [read(server, one).status for one in (served, pooled)] == ["NOT_READY", "NOT_READY"]
    told = [
        event.event.rpartition(".")[2]
        for topic, events in server.published
        for event in events
        if topic == "events" and ".deployment." in event.event
    ]
    assert told == ["created", "created", "ready", "ready", "not-ready", "not-ready"]


def test_run_that_a_run_of_a_deployment_asks_for_names_it(server: Any) -> None:
    asking, asked = deploy(server, "asking"), deploy(server, "asked")
    parent = run(server, asking)
    task = server(task_runs.CREATE_TASK_RUN, TaskRunCreate(flow_run_id=parent.id, task_key="t", dynamic_key="0"))
    child = run(server, asked, parent_task_run_id=task.id)
    assert child.created_by.model_dump() == {"id": asking.id, "type": "DEPLOYMENT", "display_value": "asking"}


# --- finding and deleting -----------------------------------------------------------------------------------------------

FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["bill", "copy", "sum"]),
    ({"deployments": {"name": {"like_": "U"}}}, ["sum"]),
    ({"deployments": {"flow_or_deployment_name": {"like_": "acc"}}}, ["bill", "sum"]),
    ({"deployments": {"flow_or_deployment_name": {"like_": "cop"}}}, ["copy"]),
    ({"deployments": {"paused": {"eq_": True}}}, ["copy"]),
    ({"deployments": {"tags": {"all_": ["x", "y"]}}}, ["sum"]),
    ({"deployments": {"tags": {"any_": ["x"]}}}, ["bill", "sum"]),
    ({"deployments": {"tags": {"is_null_": True}}}, ["copy"]),
    ({"deployments": {"concurrency_limit": {"ge_": 2}}}, ["bill"]),
    ({"deployments": {"concurrency_limit": {"le_": 1}}}, []),
    ({"deployments": {"concurrency_limit": {"is_null_": True}}}, ["copy", "sum"]),
    ({"deployments": {"work_queue_name": {"any_": ["default"]}}}, ["bill"]),
    ({"deployments": {"operator": "or_", "name": {"any_": ["copy"]}, "paused": {"eq_": False}}}, ["bill", "copy", "sum"]),
    ({"work_pools": {"name": {"any_": ["wp"]}}}, ["bill"]),
    ({"flows": {"name": {"any_": ["files"]}}}, ["copy"]),
    ({"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}, ["sum"]),
    ({"sort": "NAME_DESC", "limit": 2}, ["sum", "copy"]),
    ({"sort": "CREATED_DESC", "offset": 1}, ["sum", "bill"]),
]


@pytest.fixture
def three(call: Call) -> dict[str, Any]:
    call(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="wp", type="process"))
    made = {
        "bill": deploy(call, "bill", "accounts", tags=["x"], concurrency_limit=2, work_pool_name="wp"),
        "sum": deploy(call, "sum", "accounts", tags=["x", "y"]),
        "copy": deploy(call, "copy", "files", paused=True),
    }
    run(call, made["sum"])
    return made


def test_filters_over_deployments(call: Call, three: dict[str, Any]) -> None:
    for body, expected in FILTERS:
        assert [one.name for one in call(deployments.FILTER_DEPLOYMENTS, DeploymentQuery.model_validate(body))] == expected, body
        if not body.keys() & {"sort", "limit"}:
            assert call(deployments.COUNT_DEPLOYMENTS, RunScope.model_validate(body)) == len(expected), body
    page = call(deployments.PAGINATE_DEPLOYMENTS, DeploymentPageQuery(limit=2, page=2))
    assert ([one.name for one in page.results], page.count, page.pages) == (["sum"], 3, 2)
    assert call(deployments.READ_DEPLOYMENT_BY_NAME, flow_name="files", deployment_name="copy") == three["copy"]


def test_filters_over_flows_and_runs_reach_deployments(call: Call, three: dict[str, Any]) -> None:
    call(flows.CREATE_FLOW, FlowCreate(name="bare"))
    paused = {"deployments": {"paused": {"eq_": True}}}
    assert [one.name for one in call(flows.FILTER_FLOWS, FlowQuery.model_validate(paused))] == ["files"]
    assert [one.name for one in call(flows.FILTER_FLOWS, FlowQuery.model_validate({"flows": {"deployment": {"is_null_": True}}}))] == ["bare"]
    named = {"deployments": {"name": {"any_": ["sum"]}}}
    assert [one.deployment_id for one in call(flow_runs.FILTER_FLOW_RUNS, FlowRunQuery.model_validate(named))] == [three["sum"].id]
    assert call(flow_runs.FILTER_FLOW_RUNS, FlowRunQuery.model_validate(paused)) == []


def test_deleting_takes_its_limit_and_leaves_its_runs(call: Call, three: dict[str, Any]) -> None:
    deleted = call(deployments.BULK_DELETE_DEPLOYMENTS, DeploymentBulkDelete.model_validate({"deployments": {"tags": {"any_": ["x"]}}})).deleted
    assert deleted == [three["bill"].id, three["sum"].id]
    with pytest.raises(ObjectNotFound):
        call(concurrency.READ_LIMIT, id_or_name=f"deployment:{three['bill'].id}")
    (left,) = runs_of(call, three["sum"])
    answer = propose(call, left, "PENDING")
    assert (answer.status, answer.details.reason) == ("ABORT", "Deployment not found.")
    with pytest.raises(ObjectNotFound):
        call(deployments.DELETE_DEPLOYMENT, id=three["bill"].id)


def test_flow_takes_its_deployments_with_it(call: Call, three: dict[str, Any]) -> None:
    call(flows.DELETE_FLOW, id=three["bill"].flow_id)
    assert [one.name for one in call(deployments.FILTER_DEPLOYMENTS)] == ["copy"]


def test_queues_that_see_a_deployment(call: Call, three: dict[str, Any]) -> None:
    for name, wanted in (("all", {"tags": ["x"]}), ("both", {"tags": ["x", "y"]}), ("one", {"deployment_ids": [str(three["bill"].id)]})):
        call(work_queues.CREATE_WORK_QUEUE, WorkQueueCreate.model_validate({"name": name, "filter": wanted}))
    seen = {queue.name for queue in call(deployments.WORK_QUEUE_CHECK, id=three["bill"].id)}
    assert seen == {"default", "all", "one"}


def test_a_server_tells_what_became_of_a_deployment(server: Any) -> None:
    made = deploy(server, tags=["a"])
    update(server, made, tags=["b"], version="2")
    update(server, made, version="2")  # nothing new
    server(deployments.PAUSE_DEPLOYMENT, id=made.id)
    server(deployments.DELETE_DEPLOYMENT, id=made.id)
    told = told_of_deployments(server)
    assert [event.event.rpartition(".")[2] for event in told] == ["created", "updated", "updated", "deleted"]
    assert told[1].payload["updates"] == {"version": {"from": None, "to": "2"}, "tags": {"from": ["a"], "to": ["b"]}}
    assert told[2].payload["updates"] == {"paused": {"from": False, "to": True}}
    assert {resource.id for resource in told[0].related} == {f"prefect.flow.{made.flow_id}"}
