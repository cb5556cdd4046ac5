"""What is answered."""

from headrace.model.concurrency import ConcurrencyLimitWithLeaseResponse, GlobalConcurrencyLimitResponse, MinimalConcurrencyLimitResponse
from headrace.model.deployments import Deployment as DeploymentResponse
from headrace.model.deployments import DeploymentBulkDeleteResponse, DeploymentPaginationResponse, FlowRunBulkCreateResponse, FlowRunCreateResult
from headrace.model.flow_runs import FlowRun as FlowRunResponse
from headrace.model.flow_runs import FlowRunBulkDeleteResponse, FlowRunPaginationResponse
from headrace.model.flows import FlowBulkDeleteResponse, FlowPaginationResponse
from headrace.model.orchestration import (
    FlowRunBulkSetStateResponse,
    FlowRunOrchestrationResult,
    OrchestrationResult,
    SetStateStatus,
    StateAbortDetails,
    StateAcceptDetails,
    StateRejectDetails,
    StateResponseDetails,
    StateWaitDetails,
)
from headrace.model.run_queries import HistoryResponse, HistoryResponseState
from headrace.model.task_runs import TaskRunPaginationResponse
from headrace.model.work_pools import (
    WorkerFlowRunResponse,
    WorkPoolConcurrencyStatus,
    WorkQueueConcurrencyStatusDetail,
)
from headrace.model.work_queues import (
    FlowRunSlotSummary,
    WorkQueueConcurrencyStatus,
)

__all__ = [
    "ConcurrencyLimitWithLeaseResponse",
    "DeploymentBulkDeleteResponse",
    "DeploymentPaginationResponse",
    "DeploymentResponse",
    "FlowBulkDeleteResponse",
    "FlowPaginationResponse",
    "FlowRunBulkCreateResponse",
    "FlowRunBulkDeleteResponse",
    "FlowRunBulkSetStateResponse",
    "FlowRunCreateResult",
    "FlowRunOrchestrationResult",
    "FlowRunPaginationResponse",
    "FlowRunResponse",
    "FlowRunSlotSummary",
    "GlobalConcurrencyLimitResponse",
    "HistoryResponse",
    "HistoryResponseState",
    "MinimalConcurrencyLimitResponse",
    "OrchestrationResult",
    "SetStateStatus",
    "StateAbortDetails",
    "StateAcceptDetails",
    "StateRejectDetails",
    "StateResponseDetails",
    "StateWaitDetails",
    "TaskRunPaginationResponse",
    "WorkPoolConcurrencyStatus",
    "WorkQueueConcurrencyStatus",
    "WorkQueueConcurrencyStatusDetail",
    "WorkerFlowRunResponse",
]
