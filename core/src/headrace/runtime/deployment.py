"""The deployment whose run the code is part of: `deployment.id`, `deployment.parameters`, …"""

from headrace.engine.runtime.deployment import (
    __dir__,
    __getattr__,
    get_flow_run_id,
    get_id,
    get_name,
    get_parameters,
    get_version,
)

__all__ = [
    "__dir__",
    "__getattr__",
    "get_flow_run_id",
    "get_id",
    "get_name",
    "get_parameters",
    "get_version",
]
