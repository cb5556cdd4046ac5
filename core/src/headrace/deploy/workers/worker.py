"""`Worker`: the least that a new kind of infrastructure has to say. Start, watch, stop; all else is the library's.

class Machine(Worker):
    type = "machine"
    variables = MachineVariables

    def start(self, job):                       # plain functions may block; `async def` will do as well
        return cloud.create(job.env, job.command, size=job.size).id

    def watch(self, identifier, job):
        return cloud.wait(identifier).exit_code

    def stop(self, identifier, job, grace_seconds):
        cloud.delete(identifier)
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.deploy.workers.base import BaseWorker
from headrace.deploy.workers.configuration import BaseJobConfiguration, BaseVariables, BaseWorkerResult

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun


THREADS_MAX = 512
"""Runs of a worker whose blocking methods are waited for at once; each takes a thread."""


class Variables(BaseJobConfiguration):
    """What can be configured of a worker's infrastructure: a field each, with a description and a default. Runs' jobs are objects of it."""


class Worker(ABC):
    """A kind of infrastructure. `variables`: what users may configure; each job is an object of it, ready to be started.

    The three methods are called for different runs at the same time, from threads unless they are `async def`.
    """

    type: ClassVar[str]
    variables: ClassVar[type[BaseJobConfiguration]] = Variables
    description: ClassVar[str] = ""
    documentation_url: ClassVar[str] = ""
    logo_url: ClassVar[str] = ""

    @abstractmethod
    def start(self, job: Any) -> str | Awaitable[str]:
        """Start what runs `job.command` with the environment `job.env`; return what it is known by. What is raised makes the run Crashed."""

    @abstractmethod
    def watch(self, identifier: str, job: Any) -> int | Awaitable[int]:
        """Wait for its end; return its exit status: 0 when the command ended well."""

    @abstractmethod
    def stop(self, identifier: str, job: Any, grace_seconds: int) -> Awaitable[None] | None:
        """End it: ask it to, and force it after `grace_seconds`.

        Raises `InfrastructureNotFound` when it is gone, `InfrastructureNotAvailable` when it cannot be reached from here.
        """


@cache
def as_base_worker(infrastructure: type[Worker]) -> type[BaseWorker[Any, Any, Any]]:
    """Return the worker that takes runs of a pool and starts them on this infrastructure."""

    class InfrastructureWorker(BaseWorker[Any, BaseVariables, BaseWorkerResult]):
        type = infrastructure.type
        job_configuration = infrastructure.variables
        _description = infrastructure.description
        _documentation_url = infrastructure.documentation_url
        _logo_url = infrastructure.logo_url

        async def setup(self) -> None:
            await super().setup()
            self.infrastructure = infrastructure()
            self._threads = ThreadPoolExecutor(THREADS_MAX, "headrace-worker")

        async def teardown(self, *exc_info: Any) -> None:
            await super().teardown(*exc_info)
            self._threads.shutdown(wait=False)

        async def run(self, flow_run: FlowRun, configuration: Any, task_status: Any = None) -> BaseWorkerResult:
            identifier: str = await _called(self._threads, self.infrastructure.start, configuration)
            if task_status is not None:
                task_status.started(identifier)
            status: int = await _called(self._threads, self.infrastructure.watch, identifier, configuration)
            return BaseWorkerResult(identifier=identifier, status_code=status)

        async def kill_infrastructure(self, infrastructure_pid: str, configuration: Any, grace_seconds: int = 30) -> None:
            await _called(self._threads, self.infrastructure.stop, infrastructure_pid, configuration, grace_seconds)

    InfrastructureWorker.__name__ = InfrastructureWorker.__qualname__ = f"{infrastructure.__name__}Worker"
    InfrastructureWorker.__module__ = infrastructure.__module__
    return InfrastructureWorker


async def _called(threads: ThreadPoolExecutor, method: Any, *arguments: Any) -> Any:
    if inspect.iscoroutinefunction(method):
        return await method(*arguments)
    answer = await asyncio.get_running_loop().run_in_executor(threads, partial(copy_context().run, method, *arguments))
    return await answer if inspect.isawaitable(answer) else answer
