"""What is stored."""

from headrace.model.flow_runs import CreatedBy, FlowRun, FlowRunPolicy
from headrace.model.flows import Flow
from headrace.model.logs import Log
from headrace.model.states import TERMINAL_STATES, State, StateDetails, StateType
from headrace.model.task_runs import Constant, FlowRunResult, Parameter, TaskRun, TaskRunPolicy, TaskRunResult

__all__ = [
    "TERMINAL_STATES",
    "Constant",
    "CreatedBy",
    "Flow",
    "FlowRun",
    "FlowRunPolicy",
    "FlowRunResult",
    "Log",
    "Parameter",
    "State",
    "StateDetails",
    "StateType",
    "TaskRun",
    "TaskRunPolicy",
    "TaskRunResult",
]
