"""Orders of lists."""

from headrace.model.artifact_queries import ArtifactCollectionSort, ArtifactSort
from headrace.model.automations import AutomationSort
from headrace.model.blocks import BlockDocumentSort
from headrace.model.deployments import DeploymentSort
from headrace.model.flow_runs import FlowRunSort
from headrace.model.flows import FlowSort
from headrace.model.logs import LogSort
from headrace.model.task_runs import TaskRunSort
from headrace.model.variables import VariableSort

__all__ = [
    "ArtifactCollectionSort",
    "ArtifactSort",
    "AutomationSort",
    "BlockDocumentSort",
    "DeploymentSort",
    "FlowRunSort",
    "FlowSort",
    "LogSort",
    "TaskRunSort",
    "VariableSort",
]
