"""What creates and changes objects."""

from headrace.model.flow_runs import FlowRunCreate, FlowRunUpdate
from headrace.model.flows import FlowCreate, FlowUpdate
from headrace.model.logs import LogCreate
from headrace.model.states import StateCreate
from headrace.model.task_runs import TaskRunCreate, TaskRunUpdate

__all__ = ["FlowCreate", "FlowRunCreate", "FlowRunUpdate", "FlowUpdate", "LogCreate", "StateCreate", "TaskRunCreate", "TaskRunUpdate"]
