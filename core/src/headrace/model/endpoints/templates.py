"""Routes that check Jinja templates before they are stored."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint

VALIDATE_TEMPLATE: Endpoint[None] = Endpoint("POST", "/templates/validate", "templates", str, status=204, also=(200,))
VALIDATE_AUTOMATION_TEMPLATE: Endpoint[None] = Endpoint("POST", "/automations/templates/validate", "templates", str, status=204, also=(200,))
