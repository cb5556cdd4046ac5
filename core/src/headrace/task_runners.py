"""Front desk: task runners."""

from headrace.deploy.background import HeadraceTaskRunner
from headrace.engine.task_runners.base import TaskRunner
from headrace.engine.task_runners.processes import ProcessPoolTaskRunner
from headrace.engine.task_runners.threads import ConcurrentTaskRunner, ThreadPoolTaskRunner

__all__ = ["ConcurrentTaskRunner", "HeadraceTaskRunner", "ProcessPoolTaskRunner", "TaskRunner", "ThreadPoolTaskRunner"]
