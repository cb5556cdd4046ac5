"""What is stored."""

from headrace.model.artifacts import Artifact, ArtifactCollection
from headrace.model.blocks import BlockDocument, BlockSchema, BlockType
from headrace.model.concurrency import ConcurrencyLeaseHolder, ConcurrencyLimit, GlobalConcurrencyLimit
from headrace.model.deployments import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    Deployment,
    DeploymentStatus,
    UpdatedBy,
    VersionInfo,
)
from headrace.model.flow_runs import CreatedBy, FlowRun, FlowRunPolicy
from headrace.model.flows import Flow
from headrace.model.logs import Log
from headrace.model.run_inputs import FlowRunInput
from headrace.model.schedules import DeploymentSchedule
from headrace.model.states import TERMINAL_STATES, State, StateDetails, StateType
from headrace.model.task_runs import Constant, FlowRunResult, Parameter, TaskRun, TaskRunPolicy, TaskRunResult
from headrace.model.variables import Variable
from headrace.model.work_pools import (
    WorkPool,
    WorkPoolStatus,
    WorkPoolStorageConfiguration,
    WorkPoolUpdate,
)
from headrace.model.work_queues import (
    QueueFilter,
    WorkQueue,
    WorkQueueHealthPolicy,
    WorkQueueStatus,
    WorkQueueStatusDetail,
)
from headrace.model.workers import (
    Integration,
    Worker,
    WorkerMetadata,
    WorkerStatus,
)

__all__ = [
    "TERMINAL_STATES",
    "Artifact",
    "ArtifactCollection",
    "BlockDocument",
    "BlockSchema",
    "BlockType",
    "ConcurrencyLeaseHolder",
    "ConcurrencyLimit",
    "ConcurrencyLimitConfig",
    "ConcurrencyLimitStrategy",
    "ConcurrencyOptions",
    "Constant",
    "CreatedBy",
    "Deployment",
    "DeploymentSchedule",
    "DeploymentStatus",
    "Flow",
    "FlowRun",
    "FlowRunInput",
    "FlowRunPolicy",
    "FlowRunResult",
    "GlobalConcurrencyLimit",
    "Integration",
    "Log",
    "Parameter",
    "QueueFilter",
    "State",
    "StateDetails",
    "StateType",
    "TaskRun",
    "TaskRunPolicy",
    "TaskRunResult",
    "UpdatedBy",
    "Variable",
    "VersionInfo",
    "WorkPool",
    "WorkPoolStatus",
    "WorkPoolStorageConfiguration",
    "WorkPoolUpdate",
    "WorkQueue",
    "WorkQueueHealthPolicy",
    "WorkQueueStatus",
    "WorkQueueStatusDetail",
    "Worker",
    "WorkerMetadata",
    "WorkerStatus",
]
