"""Orders of lists."""

from headrace.model.flow_runs import FlowRunSort
from headrace.model.flows import FlowSort
from headrace.model.logs import LogSort
from headrace.model.task_runs import TaskRunSort

__all__ = ["FlowRunSort", "FlowSort", "LogSort", "TaskRunSort"]
