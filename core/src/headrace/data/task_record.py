"""What the engine keeps of a task run while it runs: identity, counters and states, light enough for thousands a second.

States are plain tuples here; `State` and `TaskRun` objects are built only for those who look (hooks, futures, contexts).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.model import clock, ids

if TYPE_CHECKING:
    from headrace.model.states import State
    from headrace.model.task_runs import TaskRun

StateRow = tuple[str, str, str, int, str | None, Any, dict[str, Any] | None]
"""(id, type, name, microseconds since the epoch, message, result metadata, details)"""

TERMINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


class TaskRecord:
    """One task run. `data` is what its last state left in this process: a result, an exception or nothing."""

    __slots__ = (
        "__weakref__",
        "_sent",
        "cache_expiration",
        "cache_key",
        "data",
        "dynamic_key",
        "end_time",
        "expected_start_time",
        "flow_run_id",
        "flow_run_run_count",
        "id_text",
        "labels",
        "name",
        "retries",
        "retry_delay",
        "retry_jitter_factor",
        "run_count",
        "start_time",
        "states",
        "tags",
        "task_inputs",
        "task_key",
        "total_run_time",
    )

    def __init__(
        self,
        *,
        id_text: str | None = None,
        flow_run_id: UUID | None,
        name: str,
        task_key: str,
        dynamic_key: str,
        tags: frozenset[str],
        retries: int = 0,
        retry_delay: Any = 0,
        retry_jitter_factor: float | None = None,
        flow_run_run_count: int = 0,
    ) -> None:
        self.id_text = id_text or ids.new_text()
        self.flow_run_id = flow_run_id
        self.name = name
        self.task_key = task_key
        self.dynamic_key = dynamic_key
        self.tags = tags
        self.labels: dict[str, Any] = {}
        self.task_inputs: dict[str, list[dict[str, Any]]] = {}
        self.retries = retries
        self.retry_delay = retry_delay
        self.retry_jitter_factor = retry_jitter_factor
        self.cache_key: str | None = None
        self.cache_expiration: int | None = None
        self.run_count = 0
        self.flow_run_run_count = flow_run_run_count
        self.expected_start_time = clock.now_us()
        self.start_time: int | None = None
        self.end_time: int | None = None
        self.total_run_time = 0.0
        self.states: list[StateRow] = []
        self.data: Any = None
        self._sent = 0

    @property
    def id(self) -> UUID:
        """The task run's id."""
        return UUID(self.id_text)

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return bool(self.states) and self.states[-1][1] in TERMINAL

    def enter(
        self,
        kind: str,
        name: str,
        message: str | None = None,
        metadata: Any = None,
        details: dict[str, Any] | None = None,
        data: Any = None,
        state_id: str | None = None,
    ) -> None:
        """Go into a state. Times of consecutive states strictly increase."""
        moment = clock.now_us()
        states = self.states
        if states:
            last = states[-1]
            if moment <= last[3]:
                moment = last[3] + 1
            if last[1] == "RUNNING":
                self.total_run_time += (moment - last[3]) / 1_000_000
        if kind == "RUNNING":
            self.run_count += 1
            if self.start_time is None:
                self.start_time = moment
        self.end_time = moment if kind in TERMINAL else None
        self.data = data
        states.append((state_id or ids.new_text(), kind, name, moment, message, metadata, details))

    def unsent(self) -> dict[str, Any] | None:
        """Return the record with the states that were not handed out yet, or None when there are none."""
        count = len(self.states)
        fresh = self.states[self._sent : count]
        if not fresh:
            return None
        self._sent = count
        return {
            "id": self.id_text,
            "flow_run_id": str(self.flow_run_id) if self.flow_run_id is not None else None,
            "name": self.name,
            "task_key": self.task_key,
            "dynamic_key": self.dynamic_key,
            "tags": sorted(self.tags),
            "labels": self.labels,
            "task_inputs": self.task_inputs,
            "retries": self.retries,
            "retry_delay": self.retry_delay,
            "retry_jitter_factor": self.retry_jitter_factor,
            "cache_key": self.cache_key,
            "cache_expiration": self.cache_expiration,
            "run_count": self.run_count,
            "flow_run_run_count": self.flow_run_run_count,
            "expected_start_time": self.expected_start_time,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "total_run_time": self.total_run_time,
            "states": fresh,
        }

    def state(self) -> State:
        """Return the present state as an object, with what it left."""
        return self._as_state(self.states[-1], self.data)

    def _as_state(self, row: StateRow, data: Any) -> State:
        from headrace.model.states import State, StateDetails, StateType

        details = StateDetails(flow_run_id=self.flow_run_id, task_run_id=self.id, **(row[6] or {}))
        return State(
            id=UUID(row[0]),
            type=StateType(row[1]),
            name=row[2],
            timestamp=clock.from_us(row[3]),
            message=row[4],
            data=data if data is not None else row[5],
            state_details=details,
        )

    def model(self) -> TaskRun:
        """Return the run as a client would read it now."""
        from headrace.model.task_runs import TaskRun

        state = self.state() if self.states else None
        values = {name: getattr(self, name) for name in ("name", "task_key", "dynamic_key", "labels", "run_count", "task_inputs")}
        return TaskRun(
            id=self.id,
            flow_run_id=self.flow_run_id,
            tags=sorted(self.tags),
            cache_key=self.cache_key,
            flow_run_run_count=self.flow_run_run_count,
            empirical_policy={  # pyright: ignore[reportArgumentType]  # pydantic builds the policy
                "retries": self.retries,
                "retry_delay": self.retry_delay,
                "retry_jitter_factor": self.retry_jitter_factor,
            },
            expected_start_time=clock.from_us(self.expected_start_time),
            start_time=clock.from_us(self.start_time) if self.start_time is not None else None,
            end_time=clock.from_us(self.end_time) if self.end_time is not None else None,
            total_run_time=timedelta(seconds=self.total_run_time),
            state_id=state.id if state else None,
            state_type=state.type if state else None,
            state_name=state.name if state else None,
            state=state,
            **values,
        )
