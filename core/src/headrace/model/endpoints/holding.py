"""Why runs do not run: routes of our own."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.holding import Holding

WHY_FLOW_RUN: Endpoint[Holding] = Endpoint("GET", "/flow_runs/{id}/why", "holding", returns=Holding)
WHY_TASK_RUN: Endpoint[Holding] = Endpoint("GET", "/task_runs/{id}/why", "holding", returns=Holding)
WHY_DEPLOYMENT: Endpoint[Holding] = Endpoint("GET", "/deployments/{id}/why", "holding", returns=Holding)
