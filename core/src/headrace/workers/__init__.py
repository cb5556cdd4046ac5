"""Front desk: workers, and what they are written with."""

from headrace.deploy.workers.process import ProcessWorker
from headrace.deploy.workers.worker import Variables, Worker

__all__ = ["ProcessWorker", "Variables", "Worker"]
