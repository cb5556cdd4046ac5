from headrace.client.orchestration import get_client as get_client
from headrace.context import tags as tags
from headrace.deployments.runner import deploy as deploy
from headrace.flow_runs import apause_flow_run as apause_flow_run
from headrace.flow_runs import aresume_flow_run as aresume_flow_run
from headrace.flow_runs import asuspend_flow_run as asuspend_flow_run
from headrace.flow_runs import pause_flow_run as pause_flow_run
from headrace.flow_runs import resume_flow_run as resume_flow_run
from headrace.flow_runs import suspend_flow_run as suspend_flow_run
from headrace.flows import Flow as Flow
from headrace.flows import aserve as aserve
from headrace.flows import flow as flow
from headrace.flows import serve as serve
from headrace.logging import get_run_logger as get_run_logger
from headrace.runner import Runner as Runner
from headrace.states import State as State
from headrace.tasks import Task as Task
from headrace.tasks import task as task
from headrace.transactions import Transaction as Transaction
from headrace.utilities.annotations import allow_failure as allow_failure
from headrace.utilities.annotations import unmapped as unmapped

__version__: str
