"""Log streaming to subscribers of this process."""

from headrace.server.services.passive import LogDistributor
from headrace.server.streams.documented import (
    distributor,
    log_matches_filter,
    logs,
    run_distributor,
    start_distributor,
    stop_distributor,
    subscribed,
)

__all__ = [
    "LogDistributor",
    "distributor",
    "log_matches_filter",
    "logs",
    "run_distributor",
    "start_distributor",
    "stop_distributor",
    "subscribed",
]
