"""The graph of a flow run, made of its task runs, the subflow runs that some of them stand for, and their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.errors import InvalidRequest, ObjectNotFound
from headrace.model.graph import DependencyResult, Edge, Graph, GraphArtifact, GraphState, Node
from headrace.model.states import StateType
from headrace.model.task_runs import TaskRunResult
from headrace.operations.runs.task_encoding import task_run_out
from headrace.settings import get_current_settings
from headrace.store.codec import json_out, microseconds, moment, time_out
from headrace.store.database import Transaction
from headrace.store.statements.runs import SELECT_TASK_RUNS

_NODES = """
    SELECT t.id, COALESCE(c.id, t.id), CASE WHEN c.id IS NULL THEN 'task-run' ELSE 'flow-run' END, COALESCE(c.name, t.name),
        COALESCE(c.state_type, t.state_type), COALESCE(c.start_time, t.start_time), COALESCE(c.end_time, t.end_time), t.task_inputs
    FROM task_run t LEFT JOIN flow_run c ON c.parent_task_run_id = t.id
    WHERE t.flow_run_id = ? AND COALESCE(c.start_time, t.start_time) IS NOT NULL
        AND (COALESCE(c.end_time, t.end_time) IS NULL OR COALESCE(c.end_time, t.end_time) >= ?)
    ORDER BY 6, t.id LIMIT ?"""
_ARTIFACTS = """
    SELECT a.id, a.created, a.key, a.type, a.data, a.task_run_id, NOT EXISTS (SELECT 1 FROM artifact n WHERE n.key = a.key AND n.id > a.id)
    FROM artifact a WHERE a.flow_run_id = ? AND a.type IS NOT 'result' ORDER BY a.created, a.id LIMIT ?"""


def read(tx: Transaction, run_id: UUID, since: datetime | None) -> Graph:
    """Return the graph; with `since`, only the nodes that had not ended by then.

    Raises `ObjectNotFound` for a missing run, `InvalidRequest` when there are more nodes than the setting allows.
    """
    run = tx.sql_one("SELECT start_time, end_time FROM flow_run WHERE id = ?", (run_id.bytes,))
    if run is None:
        raise ObjectNotFound(help_message=f"Flow run {run_id} not found")
    settings = get_current_settings().server.flow_run_graph
    rows = tx.sql(_NODES, (run_id.bytes, microseconds(since) if since is not None else 0, settings.max_nodes + 1))
    if len(rows) > settings.max_nodes:
        raise _too_many(run_id, settings.max_nodes)
    artifacts, of_tasks = _artifacts(tx, run_id, settings.max_artifacts)
    nodes = _nodes(rows, of_tasks)
    states = tx.sql("SELECT id, timestamp, type, name FROM flow_run_state WHERE flow_run_id = ? ORDER BY timestamp, id", (run_id.bytes,))
    return Graph.model_construct(
        start_time=time_out(run[0]),
        end_time=time_out(run[1]),
        root_node_ids=[node.id for node in nodes if not node.parents],
        nodes=[(node.id, node) for node in nodes],
        artifacts=artifacts,
        states=[
            GraphState.model_construct(id=UUID(bytes=id), timestamp=moment(timestamp), type=StateType(kind), name=name)
            for id, timestamp, kind, name in states
        ],
    )


def dependencies(tx: Transaction, run_id: UUID) -> list[DependencyResult]:
    """Return the task runs in the order in which they were expected to start. Raises `ObjectNotFound`, and `InvalidRequest` as `read`."""
    if tx.sql_one("SELECT 1 FROM flow_run WHERE id = ?", (run_id.bytes,)) is None:
        raise ObjectNotFound(help_message=f"Flow run {run_id} not found")
    limit = get_current_settings().server.flow_run_graph.max_nodes
    rows = tx.sql(f"{SELECT_TASK_RUNS} WHERE r.flow_run_id = ? ORDER BY r.expected_start_time, r.id LIMIT ?", (run_id.bytes, limit + 1))
    if len(rows) > limit:
        raise _too_many(run_id, limit)
    now = clock.now_us()
    found: list[DependencyResult] = []
    for run in (task_run_out(row, now) for row in rows):
        sources = [source for name, given in run.task_inputs.items() if name != "__parents__" for source in given]
        found.append(
            DependencyResult.model_construct(
                id=run.id,
                name=run.name,
                upstream_dependencies=[source for source in sources if isinstance(source, TaskRunResult)],
                state=run.state,
                expected_start_time=run.expected_start_time,
                start_time=run.start_time,
                end_time=run.end_time,
                total_run_time=run.total_run_time,
                estimated_run_time=run.estimated_run_time,
                untrackable_result=run.state.state_details.untrackable_result if run.state is not None else False,
            )
        )
    return found


def _too_many(run_id: UUID, limit: int) -> InvalidRequest:
    return InvalidRequest(
        f"The graph of flow run {run_id} has more than {limit} nodes. Ask for the later ones with `since`, "
        "or raise HEADRACE_SERVER_FLOW_RUN_GRAPH_MAX_NODES.",
        status=400,
    )


def _nodes(rows: Sequence[tuple[Any, ...]], artifacts: dict[bytes, list[GraphArtifact]]) -> list[Node]:
    shown = {UUID(bytes=row[0]): UUID(bytes=row[1]) for row in rows}  # a placeholder is shown as the subflow run it stands for
    nodes: dict[UUID, Node] = {}
    for task_id, node_id, kind, label, state_type, start, end, inputs in rows:
        parents, around = _inputs(json_out(inputs) or {})
        nodes[UUID(bytes=node_id)] = Node.model_construct(
            kind=kind,
            id=UUID(bytes=node_id),
            label=label,
            state_type=StateType(state_type),
            start_time=moment(start),
            end_time=time_out(end),
            parents=[Edge(id=shown[parent]) for parent in parents if parent in shown],
            children=[],
            encapsulating=[Edge(id=shown[parent]) for parent in around if parent in shown],
            artifacts=artifacts.get(task_id, []),
        )
    for node in nodes.values():
        for parent in node.parents:
            nodes[parent.id].children.append(Edge(id=node.id))
    return list(nodes.values())


def _inputs(inputs: dict[str, list[dict[str, Any]]]) -> tuple[list[UUID], list[UUID]]:
    """Return the runs whose results a task took, and those that it ran within, each once."""
    parents: dict[UUID, None] = {}
    around: dict[UUID, None] = {}
    for name, sources in inputs.items():
        for source in sources:
            if source.get("input_type") in ("task_run", "flow_run"):
                (around if name == "__parents__" else parents)[UUID(source["id"])] = None
    return list(parents), list(around)


def _artifacts(tx: Transaction, run_id: UUID, limit: int) -> tuple[list[GraphArtifact], dict[bytes, list[GraphArtifact]]]:
    """Return the artifacts of the flow run itself, and those of its task runs by task run."""
    own: list[GraphArtifact] = []
    of_tasks: dict[bytes, list[GraphArtifact]] = {}
    for id, created, key, kind, data, task_id, is_latest in tx.sql(_ARTIFACTS, (run_id.bytes, limit)):
        artifact = GraphArtifact.model_construct(
            id=UUID(bytes=id),
            created=moment(created),
            key=key,
            type=kind,
            is_latest=key is None or bool(is_latest),
            data=json_out(data) if kind == "progress" else None,
        )
        (own if task_id is None else of_tasks.setdefault(task_id, [])).append(artifact)
    return own, of_tasks
