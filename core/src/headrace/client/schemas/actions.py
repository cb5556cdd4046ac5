"""What creates and changes objects."""

from headrace.model.artifacts import ArtifactCreate, ArtifactUpdate
from headrace.model.blocks import BlockDocumentCreate, BlockDocumentUpdate, BlockSchemaCreate, BlockTypeCreate, BlockTypeUpdate
from headrace.model.concurrency import (
    ConcurrencyLimitCreate,
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
)
from headrace.model.deployments import DeploymentCreate, DeploymentFlowRunCreate, DeploymentUpdate
from headrace.model.flow_runs import FlowRunCreate, FlowRunUpdate
from headrace.model.flows import FlowCreate, FlowUpdate
from headrace.model.logs import LogCreate
from headrace.model.schedules import DeploymentScheduleCreate, DeploymentScheduleUpdate
from headrace.model.states import StateCreate
from headrace.model.task_runs import TaskRunCreate, TaskRunUpdate
from headrace.model.variables import VariableCreate, VariableUpdate
from headrace.model.work_pools import (
    WorkPoolCreate,
    WorkPoolUpdate,
)
from headrace.model.work_queues import (
    WorkQueueCreate,
    WorkQueueUpdate,
)

__all__ = [
    "ArtifactCreate",
    "ArtifactUpdate",
    "BlockDocumentCreate",
    "BlockDocumentUpdate",
    "BlockSchemaCreate",
    "BlockTypeCreate",
    "BlockTypeUpdate",
    "ConcurrencyLimitCreate",
    "ConcurrencyLimitV2Create",
    "ConcurrencyLimitV2Update",
    "DeploymentCreate",
    "DeploymentFlowRunCreate",
    "DeploymentScheduleCreate",
    "DeploymentScheduleUpdate",
    "DeploymentUpdate",
    "FlowCreate",
    "FlowRunCreate",
    "FlowRunUpdate",
    "FlowUpdate",
    "GlobalConcurrencyLimitCreate",
    "GlobalConcurrencyLimitUpdate",
    "LogCreate",
    "StateCreate",
    "TaskRunCreate",
    "TaskRunUpdate",
    "VariableCreate",
    "VariableUpdate",
    "WorkPoolCreate",
    "WorkPoolUpdate",
    "WorkQueueCreate",
    "WorkQueueUpdate",
]
