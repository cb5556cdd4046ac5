"""Routes of automations."""

from __future__ import annotations

from headrace.model.automations import (
    Automation,
    AutomationCount,
    AutomationCreate,
    AutomationPartialUpdate,
    AutomationQuery,
    AutomationUpdate,
)
from headrace.model.endpoints.base import Endpoint

CREATE_AUTOMATION: Endpoint[Automation] = Endpoint("POST", "/automations/", "automations", AutomationCreate, Automation, status=201)
READ_AUTOMATION: Endpoint[Automation] = Endpoint("GET", "/automations/{id}", "automations", returns=Automation)
UPDATE_AUTOMATION: Endpoint[None] = Endpoint("PUT", "/automations/{id}", "automations", AutomationUpdate, status=204)
"""Replaces all that the automation is."""
SWITCH_AUTOMATION: Endpoint[None] = Endpoint("PATCH", "/automations/{id}", "automations", AutomationPartialUpdate, status=204)
DELETE_AUTOMATION: Endpoint[None] = Endpoint("DELETE", "/automations/{id}", "automations", status=204)
FILTER_AUTOMATIONS: Endpoint[list[Automation]] = Endpoint("POST", "/automations/filter", "automations", AutomationQuery, list[Automation])
COUNT_AUTOMATIONS: Endpoint[int] = Endpoint("POST", "/automations/count", "automations", AutomationCount, int)
READ_RELATED_AUTOMATIONS: Endpoint[list[Automation]] = Endpoint(
    "GET", "/automations/related-to/{resource_id}", "automations", returns=list[Automation]
)
"""Those that name the resource, or belong to it."""
DELETE_OWNED_AUTOMATIONS: Endpoint[None] = Endpoint("DELETE", "/automations/owned-by/{resource_id}", "automations", status=202)
