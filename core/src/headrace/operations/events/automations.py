"""Automations: stored, listed, changed, deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.automation_actions import CallWebhook, RunDeployment, SendNotification
from headrace.model.automations import (
    Automation,
    AutomationCount,
    AutomationCreate,
    AutomationFilter,
    AutomationPartialUpdate,
    AutomationQuery,
    AutomationSort,
    AutomationUpdate,
    CompositeTrigger,
    TriggerTypes,
)
from headrace.model.endpoints import automations as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.events import RESOURCE_ID
from headrace.operations.conditions import Conditions, elements
from headrace.operations.events.lifecycle import tell
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.operations.templates import validate_template
from headrace.store.codec import json_in, json_out, microseconds, time_out
from headrace.store.database import Row, Transaction

_SELECT = "SELECT a.id, a.created, a.updated, a.name, a.enabled, a.tags, a.body FROM automation a"
_ORDERS = {
    AutomationSort.CREATED_DESC: "a.created DESC, a.id DESC",
    AutomationSort.UPDATED_DESC: "a.updated DESC, a.id DESC",
    AutomationSort.NAME_ASC: "a.name, a.id",
    AutomationSort.NAME_DESC: "a.name DESC, a.id DESC",
}
_BODY = {"description", "trigger", "actions", "actions_on_trigger", "actions_on_resolve"}


def create_automation(tx: Transaction, body: AutomationCreate) -> Automation:
    """Store a new automation. Its triggers get new ids. Raises `InvalidTemplate` for a text of an action that is no template."""
    _check_templates(tx, body)
    _renew_ids(body.trigger)
    key, now = ids.new(), clock.now_us()
    tx.sql_count(
        "INSERT INTO automation (id, created, updated, name, enabled, tags, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.bytes, now, now, body.name, body.enabled, json_in(body.tags or None), _stored(body)),
    )
    _relate(tx, key.bytes, body, body.owner_resource)
    made = read_automation(tx, id=key)
    tell(tx, "automation", "created", made)
    return made


def read_automation(tx: Transaction, *, id: UUID) -> Automation:
    """Return an automation. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{_SELECT} WHERE a.id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound("Automation not found")
    return _automation(row)


def update_automation(tx: Transaction, body: AutomationUpdate, *, id: UUID) -> None:
    """Replace all that an automation is; it keeps its owner. Raises `ObjectNotFound`, `InvalidTemplate`."""
    read_automation(tx, id=id)
    _check_templates(tx, body)
    _renew_ids(body.trigger)
    tx.sql_count(
        "UPDATE automation SET updated = ?, name = ?, enabled = ?, tags = ?, body = ? WHERE id = ?",
        (clock.now_us(), body.name, body.enabled, json_in(body.tags or None), _stored(body), id.bytes),
    )
    owner = tx.sql_one("SELECT resource_id FROM automation_related_resource WHERE automation_id = ? AND is_owner", (id.bytes,))
    tx.sql_count("DELETE FROM automation_related_resource WHERE automation_id = ?", (id.bytes,))
    _relate(tx, id.bytes, body, None if owner is None else owner[0])
    tell(tx, "automation", "updated", read_automation(tx, id=id))


def switch_automation(tx: Transaction, body: AutomationPartialUpdate, *, id: UUID) -> None:
    """Switch an automation on or off. Raises `ObjectNotFound`."""
    read_automation(tx, id=id)
    tx.sql_count("UPDATE automation SET updated = ?, enabled = ? WHERE id = ?", (clock.now_us(), body.enabled, id.bytes))
    tell(tx, "automation", "updated", read_automation(tx, id=id))


def delete_automation(tx: Transaction, *, id: UUID) -> None:
    """Delete an automation. Raises `ObjectNotFound`."""
    tell(tx, "automation", "deleted", read_automation(tx, id=id))
    tx.sql_count("DELETE FROM automation WHERE id = ?", (id.bytes,))


def delete_owned_automations(tx: Transaction, *, resource_id: str) -> None:
    """Delete the automations that belong to a resource; there may be none."""
    owned = tx.sql("SELECT automation_id FROM automation_related_resource WHERE resource_id = ? AND is_owner ORDER BY automation_id", (resource_id,))
    for (key,) in owned:
        delete_automation(tx, id=UUID(bytes=key))


def read_related_automations(tx: Transaction, *, resource_id: str) -> list[Automation]:
    """List the automations that name a resource or belong to it, by name."""
    related = "EXISTS (SELECT 1 FROM automation_related_resource r WHERE r.automation_id = a.id AND r.resource_id = ?)"
    return [_automation(row) for row in tx.sql(f"{_SELECT} WHERE {related} ORDER BY a.name, a.id", (resource_id,))]


def filter_automations(tx: Transaction, body: AutomationQuery) -> list[Automation]:
    """List automations."""
    where, values = _conditions(body.automations)
    rows = tx.sql(f"{_SELECT} WHERE {where} ORDER BY {_ORDERS[body.sort]} LIMIT ? OFFSET ?", (*values, page_limit(body.limit), body.offset))
    return [_automation(row) for row in rows]


def count_automations(tx: Transaction, body: AutomationCount) -> int:
    """Count automations."""
    where, values = _conditions(body.automations)
    return tx.sql(f"SELECT COUNT(*) FROM automation a WHERE {where}", values)[0][0]


def _conditions(wanted: AutomationFilter | None) -> tuple[str, list[Any]]:
    found = Conditions()
    if wanted is None:
        return found.joined(), []
    if wanted.id is not None:
        found.any_of("a.id", wanted.id.any_)
    if wanted.name is not None:
        found.any_of("a.name", wanted.name.any_)
    if wanted.created is not None and wanted.created.before_ is not None:
        found.add("a.created <= ?", microseconds(wanted.created.before_))
    if wanted.tags is not None:
        tags = Conditions()
        for tag in wanted.tags.all_ or ():
            tags.add(f"EXISTS (SELECT 1 FROM {elements('a.tags', 't')} WHERE t.value = ?)", tag)
        if wanted.tags.any_ is not None:
            places = ", ".join("?" * len(wanted.tags.any_))
            tags.add(f"EXISTS (SELECT 1 FROM {elements('a.tags', 't')} WHERE t.value IN ({places}))", *wanted.tags.any_)
        tags.present("a.tags", None if wanted.tags.is_null_ is None else not wanted.tags.is_null_)
        if not tags.is_empty:
            found.add(tags.joined(wanted.tags.operator), *tags.values)
    return found.joined(wanted.operator), found.values


# --- parts ------------------------------------------------------------------------------------------------------------


def _automation(row: Row) -> Automation:
    key, created, updated, name, enabled, tags, body = row
    return Automation.model_validate(
        {
            **json_out(body),
            "id": UUID(bytes=key),
            "created": time_out(created),
            "updated": time_out(updated),
            "name": name,
            "enabled": bool(enabled),
            "tags": json_out(tags) or [],
        }
    )


def _stored(body: AutomationCreate | AutomationUpdate) -> str | None:
    return json_in(body.model_dump(mode="json", include=_BODY))


def _renew_ids(trigger: TriggerTypes) -> None:
    trigger.id = ids.new()
    if isinstance(trigger, CompositeTrigger):
        for one in trigger.triggers:
            _renew_ids(one)


def _relate(tx: Transaction, key: bytes, body: AutomationCreate | AutomationUpdate, owner: str | None) -> None:
    """Note which resources the automation names: its owner, the targets of its actions, and those that its triggers match by their whole id."""
    named: set[str] = {target for action in body.all_actions for target in action.targets()}
    for trigger in body.event_triggers():
        for specification in trigger.specifications:
            named.update(pattern for pattern in specification.get(RESOURCE_ID) or () if not pattern.startswith("!") and not pattern.endswith("*"))
    if owner is not None:
        named.add(owner)
    tx.sql_many(
        "INSERT INTO automation_related_resource (automation_id, resource_id, is_owner) VALUES (?, ?, ?)",
        [(key, one, one == owner) for one in sorted(named)],
    )


def _check_templates(tx: Transaction, body: AutomationCreate | AutomationUpdate) -> None:
    for action in body.all_actions:
        match action:
            case SendNotification():
                texts = [action.subject, action.body]
            case CallWebhook():
                texts = [action.payload]
            case RunDeployment():
                texts = list(_templates_in(action.parameters))
            case _:
                texts = []
        for text in texts:
            validate_template(tx, text)


def _templates_in(value: Any) -> Iterable[str]:
    """Return the texts of parameters that are templates: those with marks of Jinja, and those that say so (`__prefect_kind`)."""
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        yield value
    elif isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        if given.get("__prefect_kind") == "jinja":
            yield str(given.get("template", ""))
        else:
            for one in given.values():
                yield from _templates_in(one)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _templates_in(one)


OPERATIONS = {
    endpoints.CREATE_AUTOMATION: Operation(create_automation, writes=True),
    endpoints.READ_AUTOMATION: Operation(read_automation, writes=False),
    endpoints.UPDATE_AUTOMATION: Operation(update_automation, writes=True),
    endpoints.SWITCH_AUTOMATION: Operation(switch_automation, writes=True),
    endpoints.DELETE_AUTOMATION: Operation(delete_automation, writes=True),
    endpoints.FILTER_AUTOMATIONS: Operation(filter_automations, writes=False),
    endpoints.COUNT_AUTOMATIONS: Operation(count_automations, writes=False),
    endpoints.READ_RELATED_AUTOMATIONS: Operation(read_related_automations, writes=False),
    endpoints.DELETE_OWNED_AUTOMATIONS: Operation(delete_owned_automations, writes=True),
}
