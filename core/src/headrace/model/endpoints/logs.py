"""Log lines."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.logs import Log, LogCreate
from headrace.model.run_queries import LogQuery

CREATE_LOGS: Endpoint[None] = Endpoint("POST", "/logs/", "logs", body=list[LogCreate], status=201)
FILTER_LOGS: Endpoint[list[Log]] = Endpoint("POST", "/logs/filter", "logs", body=LogQuery, returns=list[Log])
