"""Filters over flows, runs, deployments and logs as conditions. `alias` is the name that the statement gives the filtered table.

A filter over related objects becomes EXISTS: some related object matches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from headrace.model.run_filters import DeploymentFilter, FlowFilter, FlowRunFilter, LogFilter, TaskRunFilter
from headrace.model.run_queries import RunScope
from headrace.model.states import TERMINAL_STATES
from headrace.model.text_search import words_of
from headrace.operations.conditions import Conditions, elements, escaped, field_of
from headrace.operations.pools.pool_conditions import waits_where
from headrace.store.codec import json_in, microseconds

_MENTIONS_MAX = 20

F = TypeVar("F", FlowFilter, FlowRunFilter, TaskRunFilter, DeploymentFilter, LogFilter)


def matches_all(given: FlowFilter | FlowRunFilter | TaskRunFilter | DeploymentFilter | LogFilter | None) -> bool:
    """Say whether a filter holds no condition."""
    return given is None or not given.model_dump(exclude={"operator"}, exclude_none=True)


def _by_id_and_name(given: FlowFilter | FlowRunFilter | TaskRunFilter | DeploymentFilter, alias: str) -> Conditions:
    """Return the conditions that a filter over any of these has."""
    found = Conditions()
    if given.id is not None:
        found.any_of(f"{alias}.id", given.id.any_)
    if not isinstance(given, TaskRunFilter) and given.id is not None:
        found.any_of(f"{alias}.id", given.id.not_any_, negated=True)
    if given.name is not None:
        found.any_of(f"{alias}.name", given.name.any_)
        found.contains(f"{alias}.name", given.name.like_)
    return found


def flow_where(given: FlowFilter, alias: str) -> Conditions:
    """Return the conditions of a filter over flows."""
    found = _by_id_and_name(given, alias)
    if given.deployment is not None and given.deployment.is_null_ is not None:
        no = "NOT " if given.deployment.is_null_ else ""
        found.add(f"{no}EXISTS (SELECT 1 FROM deployment fd WHERE fd.flow_id = {alias}.id)")
    if given.tags is not None:
        _nest(found, _tags(f"{alias}.tags", given.tags.all_, None, given.tags.is_null_), given.tags.operator)
    return found


def flow_run_where(given: FlowRunFilter, alias: str) -> Conditions:
    """Return the conditions of a filter over flow runs."""
    found = _by_id_and_name(given, alias)
    if given.tags is not None:
        _nest(found, _tags(f"{alias}.tags", given.tags.all_, given.tags.any_, given.tags.is_null_), given.tags.operator)
    for column in ("deployment_id", "work_queue_name", "parent_task_run_id"):
        condition = getattr(given, column)
        if condition is not None:
            inner = Conditions()
            inner.any_of(f"{alias}.{column}", condition.any_)
            inner.present(f"{alias}.{column}", None if condition.is_null_ is None else not condition.is_null_)
            _nest(found, inner, condition.operator)
    if given.state is not None:
        kind, name = given.state.type, given.state.name
        inner = Conditions()
        if kind is not None:
            inner.any_of(f"{alias}.state_type", _values(kind.any_), often=any(wanted in TERMINAL_STATES for wanted in kind.any_ or ()))
            inner.any_of(f"{alias}.state_type", _values(kind.not_any_), negated=True)
        if name is not None:
            inner.any_of(f"{alias}.state_name", name.any_)
            inner.any_of(f"{alias}.state_name", name.not_any_, negated=True)
        _nest(found, inner, given.state.operator)
    if given.flow_version is not None:
        found.any_of(f"{alias}.flow_version", given.flow_version.any_)
    _run_times(found, given, alias)
    if given.next_scheduled_start_time is not None:
        _between(found, f"{alias}.next_scheduled_start_time", given.next_scheduled_start_time.before_, given.next_scheduled_start_time.after_)
    if given.parent_flow_run_id is not None and given.parent_flow_run_id.any_ is not None:
        inner = Conditions()
        inner.any_of("p.flow_run_id", given.parent_flow_run_id.any_)
        found.add(f"EXISTS (SELECT 1 FROM task_run p WHERE p.id = {alias}.parent_task_run_id AND {inner.joined()})", *inner.values)
    if given.idempotency_key is not None:
        found.any_of(f"{alias}.idempotency_key", given.idempotency_key.any_)
        found.any_of(f"{alias}.idempotency_key", given.idempotency_key.not_any_, negated=True)
    if given.created_by is not None:
        made = given.created_by
        inner = Conditions()
        inner.any_of(field_of(f"{alias}.created_by", "id"), [str(id) for id in made.id_] if made.id_ is not None else None)
        inner.any_of(field_of(f"{alias}.created_by", "type"), made.type_)
        inner.present(f"{alias}.created_by", None if made.is_null_ is None else not made.is_null_)
        _nest(found, inner, made.operator)
    return found


def task_run_where(given: TaskRunFilter, alias: str) -> Conditions:
    """Return the conditions of a filter over task runs."""
    found = _by_id_and_name(given, alias)
    if given.tags is not None:
        _nest(found, _tags(f"{alias}.tags", given.tags.all_, None, given.tags.is_null_), given.tags.operator)
    if given.state is not None:
        inner = Conditions()
        if given.state.type is not None:
            inner.any_of(f"{alias}.state_type", _values(given.state.type.any_))
        if given.state.name is not None:
            inner.any_of(f"{alias}.state_name", given.state.name.any_)
        _nest(found, inner, given.state.operator)
    _run_times(found, given, alias)
    if given.subflow_runs is not None and given.subflow_runs.exists_ is not None:
        no = "" if given.subflow_runs.exists_ else "NOT "
        found.add(f"{no}EXISTS (SELECT 1 FROM flow_run c WHERE c.parent_task_run_id = {alias}.id)")
    if given.flow_run_id is not None:
        inner = Conditions()
        if given.flow_run_id.is_null_:
            inner.present(f"{alias}.flow_run_id", False)
        else:
            inner.any_of(f"{alias}.flow_run_id", given.flow_run_id.any_)
            inner.present(f"{alias}.flow_run_id", None if given.flow_run_id.is_null_ is None else True)
        found.add(inner.joined(given.flow_run_id.operator if given.flow_run_id.is_null_ else "and_"), *inner.values)
    return found


def deployment_where(given: DeploymentFilter, alias: str) -> Conditions:
    """Return the conditions of a filter over deployments."""
    found = _by_id_and_name(given, alias)
    if given.flow_or_deployment_name is not None:
        either, flow = Conditions(), Conditions()
        flow.contains("nf.name", given.flow_or_deployment_name.like_)
        either.contains(f"{alias}.name", given.flow_or_deployment_name.like_)
        if not flow.is_empty:
            either.add(f"EXISTS (SELECT 1 FROM flow nf WHERE nf.id = {alias}.flow_id AND {flow.joined()})", *flow.values)
        _nest(found, either, "or_")
    if given.paused is not None and given.paused.eq_ is not None:
        found.add(f"{alias}.paused" if given.paused.eq_ else f"NOT {alias}.paused")
    if given.tags is not None:
        _nest(found, _tags(f"{alias}.tags", given.tags.all_, given.tags.any_, given.tags.is_null_), given.tags.operator)
    if given.work_queue_name is not None and given.work_queue_name.any_ is not None:
        inner = Conditions()
        inner.any_of("nq.name", given.work_queue_name.any_)
        found.add(f"EXISTS (SELECT 1 FROM work_queue nq WHERE nq.id = {alias}.work_queue_id AND {inner.joined()})", *inner.values)
    if given.concurrency_limit is not None:
        limit = given.concurrency_limit
        for comparison, value in ((">=", limit.ge_), ("<=", limit.le_)):
            if value is not None:
                own = f"nl.id = {alias}.concurrency_limit_id"
                found.add(f'EXISTS (SELECT 1 FROM concurrency_limit nl WHERE {own} AND nl."limit" {comparison} ?)', value)
        found.present(f"{alias}.concurrency_limit_id", None if limit.is_null_ is None else not limit.is_null_)
    return found


def log_where(given: LogFilter, alias: str) -> Conditions:
    """Return the conditions of a filter over log lines."""
    found = Conditions()
    if given.level is not None:
        if given.level.ge_ is not None:
            found.add(f"{alias}.level >= ?", given.level.ge_)
        if given.level.le_ is not None:
            found.add(f"{alias}.level <= ?", given.level.le_)
    if given.timestamp is not None:
        _between(found, f"{alias}.timestamp", given.timestamp.before_, given.timestamp.after_)
    if given.flow_run_id is not None:
        found.any_of(f"{alias}.flow_run_id", given.flow_run_id.any_)
    if given.task_run_id is not None:
        found.any_of(f"{alias}.task_run_id", given.task_run_id.any_)
        found.present(f"{alias}.task_run_id", None if given.task_run_id.is_null_ is None else not given.task_run_id.is_null_)
    if given.text is not None:
        text_matches(found, (f"{alias}.message", f"{alias}.name"), given.text.query)
    return found


def scope_of_flows(scope: RunScope, alias: str) -> Conditions:
    """Return the conditions for flows, those over related objects included."""
    found = Conditions()
    _own(found, scope.flows, flow_where, alias)
    related = _related(scope.flow_runs, flow_run_where, "sr")
    tasks = _related(scope.task_runs, task_run_where, "st")
    if tasks is not None:
        related = related or Conditions()
        related.add(f"EXISTS (SELECT 1 FROM task_run st WHERE st.flow_run_id = sr.id AND {tasks.joined()})", *tasks.values)
    if related is not None:
        found.add(f"EXISTS (SELECT 1 FROM flow_run sr WHERE sr.flow_id = {alias}.id AND {related.joined()})", *related.values)
    deployed = waits_where(scope.work_pools, scope.work_pool_queues, "sd.work_queue_id")
    _own(deployed, scope.deployments, deployment_where, "sd")
    if not deployed.is_empty:
        found.add(f"EXISTS (SELECT 1 FROM deployment sd WHERE sd.flow_id = {alias}.id AND {deployed.joined()})", *deployed.values)
    return found


def scope_of_flow_runs(scope: RunScope, alias: str) -> Conditions:
    """Return the conditions for flow runs, those over related objects included."""
    found = Conditions()
    _own(found, scope.flow_runs, flow_run_where, alias)
    flows = _related(scope.flows, flow_where, "sf")
    if flows is not None:
        found.add(f"EXISTS (SELECT 1 FROM flow sf WHERE sf.id = {alias}.flow_id AND {flows.joined()})", *flows.values)
    tasks = _related(scope.task_runs, task_run_where, "st")
    if tasks is not None:
        found.add(f"EXISTS (SELECT 1 FROM task_run st WHERE st.flow_run_id = {alias}.id AND {tasks.joined()})", *tasks.values)
    _deployed(found, scope, alias)
    waits = waits_where(scope.work_pools, scope.work_pool_queues, f"{alias}.work_queue_id")
    if not waits.is_empty:
        found.add(waits.joined(), *waits.values)
    return found


def _deployed(found: Conditions, scope: RunScope, run: str) -> None:
    deployments = _related(scope.deployments, deployment_where, "sd")
    if deployments is not None:
        found.add(f"EXISTS (SELECT 1 FROM deployment sd WHERE sd.id = {run}.deployment_id AND {deployments.joined()})", *deployments.values)


def scope_of_deployments(scope: RunScope, alias: str) -> Conditions:
    """Return the conditions for deployments, those over related objects included."""
    found = waits_where(scope.work_pools, scope.work_pool_queues, f"{alias}.work_queue_id")
    _own(found, scope.deployments, deployment_where, alias)
    flows = _related(scope.flows, flow_where, "sf")
    if flows is not None:
        found.add(f"EXISTS (SELECT 1 FROM flow sf WHERE sf.id = {alias}.flow_id AND {flows.joined()})", *flows.values)
    related = _related(scope.flow_runs, flow_run_where, "sr")
    tasks = _related(scope.task_runs, task_run_where, "st")
    if tasks is not None:
        related = related or Conditions()
        related.add(f"EXISTS (SELECT 1 FROM task_run st WHERE st.flow_run_id = sr.id AND {tasks.joined()})", *tasks.values)
    if related is not None:
        found.add(f"EXISTS (SELECT 1 FROM flow_run sr WHERE sr.deployment_id = {alias}.id AND {related.joined()})", *related.values)
    return found


def scope_of_task_runs(scope: RunScope, alias: str) -> Conditions:
    """Return the conditions for task runs, those over related objects included."""
    found = Conditions()
    _own(found, scope.task_runs, task_run_where, alias)
    related = _related(scope.flow_runs, flow_run_where, "sr")
    flows = _related(scope.flows, flow_where, "sf")
    if flows is not None:
        related = related or Conditions()
        related.add(f"EXISTS (SELECT 1 FROM flow sf WHERE sf.id = sr.flow_id AND {flows.joined()})", *flows.values)
    above = waits_where(scope.work_pools, scope.work_pool_queues, "sr.work_queue_id")
    _deployed(above, scope, "sr")
    if not above.is_empty:
        related = related or Conditions()
        related.add(above.joined(), *above.values)
    if related is not None:
        found.add(f"EXISTS (SELECT 1 FROM flow_run sr WHERE sr.id = {alias}.flow_run_id AND {related.joined()})", *related.values)
    return found


def text_matches(found: Conditions, columns: Sequence[str], query: str) -> None:
    """Add a search for words: a blank means OR, `-word` or `!word` excludes, `+word` requires, quotation marks keep a phrase together."""
    choices: list[str] = []
    for sign, word in words_of(query):
        pattern = f"%{escaped(word.lower())}%"
        one = " OR ".join(f"LOWER({column}) LIKE ? ESCAPE '\\'" for column in columns)
        if sign == "+":
            found.add(f"({one})", *[pattern] * len(columns))
        elif sign == "-":
            found.add(f"NOT ({one})", *[pattern] * len(columns))
        else:
            choices.append(pattern)
    if choices:
        one = " OR ".join(f"LOWER({column}) LIKE ? ESCAPE '\\'" for column in columns)
        found.add(f"({' OR '.join([one] * len(choices))})", *[pattern for pattern in choices for _ in columns])


# --- parts ------------------------------------------------------------------------------------------------------------


def _own(found: Conditions, given: F | None, where: Callable[[F, str], Conditions], alias: str) -> None:
    inner = _related(given, where, alias)
    if inner is not None:
        found.add(inner.joined(), *inner.values)


def _related(given: F | None, where: Callable[[F, str], Conditions], alias: str) -> Conditions | None:
    """Return the conditions of a filter already joined as it says, or None when it has none."""
    if given is None or matches_all(given):
        return None
    inner = where(given, alias)
    joined = Conditions()
    joined.add(inner.joined(given.operator), *inner.values)
    return joined


def _nest(found: Conditions, inner: Conditions, operator: str) -> None:
    if not inner.is_empty:
        found.add(inner.joined(operator), *inner.values)


def _values(kinds: Iterable[object] | None) -> list[str] | None:
    return None if kinds is None else [str(kind) for kind in kinds]


def _run_times(found: Conditions, given: FlowRunFilter | TaskRunFilter, alias: str) -> None:
    for column in ("start_time", "end_time"):
        condition = getattr(given, column)
        if condition is not None:
            _between(found, f"{alias}.{column}", condition.before_, condition.after_)
            found.present(f"{alias}.{column}", None if condition.is_null_ is None else not condition.is_null_)
    if given.expected_start_time is not None:
        _between(found, f"{alias}.expected_start_time", given.expected_start_time.before_, given.expected_start_time.after_)


def _between(found: Conditions, column: str, before: datetime | None, after: datetime | None) -> None:
    if before is not None:
        found.add(f"{column} <= ?", microseconds(before))
    if after is not None:
        found.add(f"{column} >= ?", microseconds(after))


def _tags(column: str, all_of: list[str] | None, any_of: list[str] | None, is_null: bool | None) -> Conditions:
    found = Conditions()
    if all_of is not None:
        _mention(found, column, all_of, " AND ")
        had = f"SELECT h.value FROM {elements(column, 'h')}"
        found.add(f"NOT EXISTS (SELECT 1 FROM {elements('?', 'w')} WHERE w.value NOT IN ({had}))", json_in(all_of))
    if any_of is not None:
        _mention(found, column, any_of, " OR ")
        wanted = f"SELECT w.value FROM {elements('?', 'w')}"
        found.add(f"EXISTS (SELECT 1 FROM {elements(column, 'h')} WHERE h.value IN ({wanted}))", json_in(any_of))
    found.present(column, None if is_null is None else not is_null)
    return found


def _mention(found: Conditions, column: str, tags: list[str], between: str) -> None:
    """Add that the stored text mentions the tags: of many rows it rules out most, far faster than their lists are looked through."""
    if 0 < len(tags) <= _MENTIONS_MAX:
        one = f"CAST({column} AS TEXT) LIKE ? ESCAPE '\\'"
        found.add(f"({between.join([one] * len(tags))})", *(f"%{escaped(json_in(tag) or '')}%" for tag in tags))
