"""What code can ask about the run that it is part of; every attribute is empty outside runs."""

from headrace.runtime import deployment, flow_run, task_run

__all__ = ["deployment", "flow_run", "task_run"]
