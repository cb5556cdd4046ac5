"""The task runs that stand for dbt's nodes: begun when a node begins, ended when it ends.

No thread waits for a node. A node's run is a generator task that is stepped once at each end, each time in the context of whoever called dbt.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.logging import get_run_logger
from headrace.runtime import task_run

if TYPE_CHECKING:
    from headrace.tasks import Task

FAILURES = frozenset({"error", "fail", "runtime error", "partial success"})
"""The statuses of nodes that did not succeed."""

INTERRUPTED = "interrupted"
"""Our own word for a node of which dbt did not say how it ended."""


class DbtNodeFailed(Exception):
    """A node of dbt's graph ended without success."""


@dataclass(slots=True)
class _Node:
    """What is known of one node while dbt runs."""

    logger: Any = None
    task_run_id: UUID | None = None
    status: dict[str, Any] | None = None
    message: str = ""
    steps: Generator[Any, None, None] | None = None
    context: Context | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class NodeTaskTracker:
    """Keeps the nodes of one invocation: their task runs, loggers and statuses. Safe to use from dbt's threads."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._lock = threading.Lock()

    def _node(self, node_id: str) -> _Node:
        with self._lock:
            return self._nodes.setdefault(node_id, _Node())

    def start_task(self, node_id: str, task: Task[..., Any], context: Context, depends_on: Iterable[str] = ()) -> None:
        """Begin the task run of a node. `task` is a generator task; `depends_on` names nodes whose task runs it follows."""
        from headrace.task_engine import run_generator_task_sync

        node = self._node(node_id)
        runs = [self._nodes[name].task_run_id for name in depends_on if name in self._nodes]
        upstream = [{"input_type": "task_run", "id": str(run)} for run in runs if run is not None]
        node.context = context
        node.steps = context.run(lambda: run_generator_task_sync(task, parameters={}, dependencies={"upstream": upstream} if upstream else None))
        context.run(next, node.steps)

    def is_started(self, node_id: str) -> bool:
        """Say whether the node has a task run."""
        return node_id in self._nodes and self._nodes[node_id].steps is not None

    def enter(self, node_id: str) -> None:
        """Note that the present code is the node's task run."""
        node = self._node(node_id)
        node.logger = get_run_logger()
        node.task_run_id = UUID(str(task_run.id))

    def get_task_logger(self, node_id: str) -> Any:
        """Return the logger of the node's task run, None while it has none."""
        found = self._nodes.get(node_id)
        return found.logger if found is not None and found.steps is not None else None

    def get_task_run_id(self, node_id: str) -> UUID | None:
        """Return the id of the node's task run, None while it has none."""
        found = self._nodes.get(node_id)
        return found.task_run_id if found is not None else None

    def set_node_status(self, node_id: str, event_data: dict[str, Any], event_message: str) -> None:
        """Note how a node has ended, and end its task run. `event_data` holds `node_info` with a `node_status`."""
        node = self._node(node_id)
        node.status, node.message = event_data, event_message
        node.ended.set()
        if node.steps is not None and node.context is not None:
            with contextlib.suppress(StopIteration, DbtNodeFailed):  # the run's state tells; dbt goes on by its own rules
                node.context.run(next, node.steps)
            node.steps = None

    def get_node_status(self, node_id: str) -> dict[str, Any] | None:
        """Return `node_info` and `message` of a node that has ended, else None."""
        node = self._node(node_id)
        return None if node.status is None else {**node.status, "message": node.message}

    def is_node_complete(self, node_id: str) -> bool:
        """Say whether a node has ended."""
        return self._node(node_id).ended.is_set()

    def wait_for_node_completion(self, node_id: str, timeout: float | None = None) -> bool:
        """Wait until a node has ended, at most `timeout` seconds. Returns whether it has."""
        return self._node(node_id).ended.wait(timeout)

    def end_all(self) -> None:
        """End the task runs that are still open, as failed: dbt has ended without saying how their nodes did."""
        for node_id, node in list(self._nodes.items()):
            if node.steps is not None:
                self.set_node_status(node_id, {"node_info": {"unique_id": node_id, "node_status": INTERRUPTED}}, INTERRUPTED)


def execute_dbt_node(task_state: NodeTaskTracker, node_id: str, asset_id: str | None) -> None:
    """Wait until a node has ended, tell what is known of its asset, and fail if it failed. Called within the node's task run.

    Raises `DbtNodeFailed` with the node's status and dbt's message.
    """
    task_state.wait_for_node_completion(node_id)
    status = task_state.get_node_status(node_id) or {}
    info: dict[str, Any] = status.get("node_info", {})
    if asset_id is not None:
        from headrace.assets import add_asset_metadata

        add_asset_metadata(asset_id, info)
    found = info.get("node_status", "")
    if found in FAILURES or found == INTERRUPTED:
        raise DbtNodeFailed(f"Node {node_id} finished with status {found}")


def node_task(tracker: NodeTaskTracker, node_id: str, run_name: str, asset: Any = None, described: Callable[[], Any] | None = None) -> Task[..., Any]:
    """Return the generator task that stands for a node. `described` gives the asset anew when the node has ended."""
    from headrace.cache_policies import NO_CACHE
    from headrace.tasks import MaterializingTask, Task

    def execute() -> Generator[None, None, None]:
        tracker.enter(node_id)
        yield
        if described is not None:
            task.assets[:] = [described()]
        execute_dbt_node(tracker, node_id, asset.key if asset is not None else None)

    options: dict[str, Any] = {
        "name": "execute_dbt_node", "task_run_name": lambda: run_name, "cache_policy": NO_CACHE, "persist_result": False, "retries": 0,
    }  # fmt: skip
    task: Any = MaterializingTask(execute, assets=[asset], materialized_by="dbt", **options) if asset is not None else Task(execute, **options)
    return task
