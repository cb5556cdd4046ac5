"""Which runs the present code belongs to."""

from headrace.client.current_run import get_flow_run_id, get_task_and_flow_run_ids, get_task_run_id

__all__ = ["get_flow_run_id", "get_task_and_flow_run_ids", "get_task_run_id"]
