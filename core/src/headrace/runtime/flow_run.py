"""The flow run that the code is part of: `flow_run.id`, `flow_run.name`, …"""

from headrace.engine.runtime.flow_run import (
    __dir__,
    __getattr__,
    get_flow_name,
    get_flow_run_api_url,
    get_flow_run_ui_url,
    get_flow_version,
    get_id,
    get_job_variables,
    get_name,
    get_parameters,
    get_parent_deployment_id,
    get_parent_flow_run_id,
    get_root_flow_run_id,
    get_run_count,
    get_scheduled_start_time,
    get_tags,
)

__all__ = [
    "__dir__",
    "__getattr__",
    "get_flow_name",
    "get_flow_run_api_url",
    "get_flow_run_ui_url",
    "get_flow_version",
    "get_id",
    "get_job_variables",
    "get_name",
    "get_parameters",
    "get_parent_deployment_id",
    "get_parent_flow_run_id",
    "get_root_flow_run_id",
    "get_run_count",
    "get_scheduled_start_time",
    "get_tags",
]
