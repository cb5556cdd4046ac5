"""Front desk: the documented base classes of workers."""

from headrace.deploy.workers.base import BaseWorker
from headrace.deploy.workers.configuration import BaseJobConfiguration, BaseVariables, BaseWorkerResult

__all__ = ["BaseJobConfiguration", "BaseVariables", "BaseWorker", "BaseWorkerResult"]
