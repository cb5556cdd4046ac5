"""Documented client methods on automations and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from pydantic import BaseModel

from headrace.model.errors import ObjectNotFound

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.automations import Automation, AutomationCore
    from headrace.model.event_filters import EventFilter, EventPage

S = TypeVar("S", bound=BaseModel)


class AutomationMethods:
    """Automations, for a client that has `call`. A server evaluates them."""

    async def create_automation(self: Client, automation: AutomationCore) -> UUID:
        """Store an automation and return its id."""
        from headrace.model.automations import AutomationCreate
        from headrace.model.endpoints.automations import CREATE_AUTOMATION

        return (await self.call(CREATE_AUTOMATION, _shaped(automation, AutomationCreate))).id

    async def update_automation(self: Client, automation_id: UUID, automation: AutomationCore) -> None:
        """Replace an automation by another. Raises `ObjectNotFound`."""
        from headrace.model.automations import AutomationUpdate
        from headrace.model.endpoints.automations import UPDATE_AUTOMATION

        await self.call(UPDATE_AUTOMATION, _shaped(automation, AutomationUpdate), id=automation_id)

    async def read_automations(self: Client) -> list[Automation]:
        """Return the automations, by name; 200 at most."""
        from headrace.model.endpoints.automations import FILTER_AUTOMATIONS

        return await self.call(FILTER_AUTOMATIONS)

    async def read_automation(self: Client, automation_id: UUID | str) -> Automation | None:
        """Return an automation, or None when there is none of that id."""
        from headrace.model.endpoints.automations import READ_AUTOMATION

        try:
            return await self.call(READ_AUTOMATION, id=UUID(str(automation_id)))
        except ObjectNotFound:
            return None

    async def read_automations_by_name(self: Client, name: str) -> list[Automation]:
        """Return the automations of exactly that name."""
        from headrace.model.automations import AutomationFilter, AutomationFilterName, AutomationQuery
        from headrace.model.endpoints.automations import FILTER_AUTOMATIONS

        return await self.call(FILTER_AUTOMATIONS, AutomationQuery(automations=AutomationFilter(name=AutomationFilterName(any_=[name]))))

    async def find_automation(self: Client, id_or_name: str | UUID) -> Automation | None:
        """Return the automation of that id, or the one of that name, whatever case its letters have; None when there is none."""
        from headrace.model.endpoints.automations import FILTER_AUTOMATIONS, READ_AUTOMATION

        try:
            return await self.call(READ_AUTOMATION, id=id_or_name if isinstance(id_or_name, UUID) else UUID(id_or_name))
        except (ValueError, ObjectNotFound):
            wanted = str(id_or_name)
        named = await self.call(FILTER_AUTOMATIONS)
        exact = [one for one in named if one.name == wanted]
        alike = [one for one in named if one.name.casefold() == wanted.casefold()]
        return next(iter(exact or alike), None)

    async def pause_automation(self: Client, automation_id: UUID) -> None:
        """Switch an automation off. Raises `ObjectNotFound`."""
        from headrace.model.automations import AutomationPartialUpdate
        from headrace.model.endpoints.automations import SWITCH_AUTOMATION

        await self.call(SWITCH_AUTOMATION, AutomationPartialUpdate(enabled=False), id=automation_id)

    async def resume_automation(self: Client, automation_id: UUID) -> None:
        """Switch an automation on. Raises `ObjectNotFound`."""
        from headrace.model.automations import AutomationPartialUpdate
        from headrace.model.endpoints.automations import SWITCH_AUTOMATION

        await self.call(SWITCH_AUTOMATION, AutomationPartialUpdate(enabled=True), id=automation_id)

    async def delete_automation(self: Client, automation_id: UUID) -> None:
        """Delete an automation. One that does not exist is no error."""
        from headrace.model.endpoints.automations import DELETE_AUTOMATION

        try:
            await self.call(DELETE_AUTOMATION, id=automation_id)
        except ObjectNotFound:
            return

    async def read_resource_related_automations(self: Client, resource_id: str) -> list[Automation]:
        """Return the automations that name a resource or belong to it."""
        from headrace.model.endpoints.automations import READ_RELATED_AUTOMATIONS

        return await self.call(READ_RELATED_AUTOMATIONS, resource_id=resource_id)

    async def delete_resource_owned_automations(self: Client, resource_id: str) -> None:
        """Delete the automations that belong to a resource."""
        from headrace.model.endpoints.automations import DELETE_OWNED_AUTOMATIONS

        await self.call(DELETE_OWNED_AUTOMATIONS, resource_id=resource_id)


class EventMethods:
    """Stored events, for a client that has `call`."""

    async def read_events(self: Client, filter: EventFilter | None = None, limit: int = 100) -> EventPage:
        """Return events that match, newest first unless the filter says otherwise: `limit` at most, and not more than a page holds (50)."""
        from headrace.model.endpoints.events import FILTER_EVENTS
        from headrace.model.event_filters import PAGE_EVENTS_MAX, FilterEvents

        return await self.call(FILTER_EVENTS, FilterEvents(filter=filter, limit=min(limit, PAGE_EVENTS_MAX)))

    async def read_events_page(self: Client, next_page_url: str) -> EventPage:
        """Return the page that another one names as its `next_page`. Raises `ValueError` for an address that names none."""
        from headrace.model.endpoints.events import READ_NEXT_EVENTS

        # The embedded database has no address, and names the page by its token alone.
        tokens = parse_qs(urlsplit(next_page_url).query).get("page-token") if "://" in next_page_url else [next_page_url]
        if not tokens:
            raise ValueError(f"{next_page_url!r} is no address of a page of events: give the `next_page` of one.")
        return await self.call(READ_NEXT_EVENTS, page_token=tokens[0])


def _shaped(automation: AutomationCore, shape: type[S]) -> S:
    return shape(**{name: getattr(automation, name) for name in automation.model_fields_set if name in shape.model_fields})
