"""Which runs the code that executes now belongs to. The engine sets it; every room above the client may read it."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, Protocol
from uuid import UUID


class Frame(Protocol):
    """A run in progress, as far as rooms below the engine need to know it."""

    @property
    def run_id(self) -> UUID:
        """The id of the flow run or task run."""
        ...

    @property
    def persist_result(self) -> bool:
        """Whether results are kept in this run."""
        ...

    @property
    def result_store(self) -> Any:
        """Where this run's results go, or None."""
        ...

    @property
    def logger(self) -> Any:
        """What writes to this run's log."""
        ...


RunIds = tuple[UUID | None, UUID | None]
Frames = tuple[Frame | UUID | None, Frame | UUID | None]

_current: ContextVar[Frames] = ContextVar("headrace_current_run", default=(None, None))


def run_ids() -> RunIds:
    """Return the ids of the current flow run and task run, each None where there is none."""
    flow, task = _current.get()
    return _id(flow), _id(task)


def get_flow_run_id() -> UUID | None:
    """Return the id of the flow run that the present code belongs to, or None."""
    return run_ids()[0]


def get_task_run_id() -> UUID | None:
    """Return the id of the task run that the present code belongs to, or None."""
    return run_ids()[1]


def get_task_and_flow_run_ids() -> tuple[UUID | None, UUID | None]:
    """Return the ids of the task run and of the flow run that the present code belongs to, each None where there is none."""
    flow, task = run_ids()
    return task, flow


def _id(one: Frame | UUID | None) -> UUID | None:
    return one if one is None or isinstance(one, UUID) else one.run_id


def frame() -> Frame | None:
    """Return the innermost run in progress in this process, or None."""
    flow, task = _current.get()
    innermost = task or flow
    return None if isinstance(innermost, UUID) else innermost


def set_frames(flow: Frame | None, task: Frame | None) -> Token[Frames]:
    """Say which runs the code in this context belongs to; give the token to `reset` when it ends."""
    return _current.set((flow, task))


def set_run_ids(flow_run_id: UUID | None, task_run_id: UUID | None) -> Token[Frames]:
    """Say the same for runs that are in progress elsewhere, of which only the ids are known here."""
    return _current.set((flow_run_id, task_run_id))


def reset(token: Token[Frames]) -> None:
    """Undo the `set_frames` or `set_run_ids` that returned `token`."""
    _current.reset(token)
