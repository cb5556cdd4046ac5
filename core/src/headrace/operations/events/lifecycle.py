"""What a server tells of objects that were made, changed or deleted. Light, since every noun imports it and only servers tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from headrace.store.database import Transaction

Happened = Literal["created", "updated", "deleted"]


def tell(
    tx: Transaction,
    kind: str,
    happened: Happened,
    thing: Any,
    *,
    name: str | None = None,
    related: Sequence[dict[str, str]] = (),
    payload: dict[str, Any] | None = None,
) -> None:
    """Emit `prefect.<kind>.<happened>` of a thing with an id, if a server is at work.

    Its name is that of the thing unless given, the payload all its fields: then it is a model.
    """
    if not tx.caller.is_server:
        return
    from headrace.operations.events.emitting import emit, resource

    labels = resource(kind, thing.id, thing.name if name is None else name)
    emit(tx, f"prefect.{kind}.{happened}", labels, related, thing.model_dump(mode="json") if payload is None else payload)
