"""Front desk: task workers."""

from headrace.deploy.background import aread_parameters as read_parameters
from headrace.deploy.background import astore_parameters as store_parameters
from headrace.deploy.task_worker import StopTaskWorker, TaskWorker, aserve, serve

__all__ = ["StopTaskWorker", "TaskWorker", "aserve", "read_parameters", "serve", "store_parameters"]
