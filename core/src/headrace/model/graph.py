"""The graph of a flow run: its task runs and subflow runs, and what each waited for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from headrace.model.base import Model
from headrace.model.states import State, StateType
from headrace.model.task_runs import TaskRunResult


class GraphState(Model):
    """A state that the flow run went through."""

    id: UUID
    timestamp: datetime
    type: StateType
    name: str


class GraphArtifact(Model):
    """An artifact of the flow run or of one of its task runs; `data` is there for progress only."""

    id: UUID
    created: datetime
    key: str | None
    type: str | None
    is_latest: bool
    data: Any | None


class Edge(Model):
    """The other end of a connection."""

    id: UUID


class Node(Model):
    """A task run or subflow run. `parents` are those whose results it took, `encapsulating` those it ran within."""

    kind: Literal["flow-run", "task-run"]
    id: UUID
    label: str
    state_type: StateType
    start_time: datetime
    end_time: datetime | None
    parents: list[Edge]
    children: list[Edge]
    encapsulating: list[Edge]
    artifacts: list[GraphArtifact]


class Graph(Model):
    """The graph of a flow run: `nodes` in the order of their start, as (id, node) pairs; `root_node_ids` have no parents."""

    start_time: datetime | None
    end_time: datetime | None
    root_node_ids: list[UUID]
    nodes: list[tuple[UUID, Node]]
    artifacts: list[GraphArtifact]
    states: list[GraphState]


class DependencyResult(Model):
    """A task run in the older form of the graph, and the task runs whose results it took."""

    id: UUID
    name: str
    upstream_dependencies: list[TaskRunResult]
    state: State | None
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: timedelta | None
    estimated_run_time: timedelta | None
    untrackable_result: bool
