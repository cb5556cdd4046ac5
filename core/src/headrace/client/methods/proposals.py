"""A state as it is proposed."""

from __future__ import annotations

from typing import Any, cast

from headrace.model.states import State, StateCreate


def as_proposal(state: State) -> StateCreate:
    """Return what is sent of a state: not its id and time, which the orchestrator gives, nor a value that only this process holds."""
    data: Any = state.data
    return StateCreate(
        type=state.type,
        name=state.name,
        message=state.message,
        data=cast("dict[str, Any]", data) if isinstance(data, dict) else None,
        state_details=state.state_details.model_copy(),
    )
