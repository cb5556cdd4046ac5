"""`RemoteJobWorker`: runs as jobs of a service. A plugin says how to submit, find, poll and stop one; the rest, and what goes wrong, is here."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from uuid import UUID

from headrace.deploy.workers import adoption
from headrace.deploy.workers.base import KILL_GRACE_SECONDS, BaseWorker
from headrace.deploy.workers.configuration import BaseWorkerResult
from headrace.deploy.workers.remote_configuration import TOKEN_LABEL, RemoteJobConfiguration, RemoteJobVariables, token_left_behind
from headrace.model import clock
from headrace.model.errors import HeadraceException, InfrastructureError, InfrastructureNotAvailable, InfrastructureNotFound
from headrace.model.states import StateType

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun

C = TypeVar("C", bound=RemoteJobConfiguration)
V = TypeVar("V", bound=RemoteJobVariables)
R = TypeVar("R", bound=BaseWorkerResult)
T = TypeVar("T")

Logger = logging.LoggerAdapter[Any]

THREADS_MAX = 128
"""Calls to the service that a worker makes at once."""
STATUS_UNKNOWN = -1
"""The status code of a job of which nobody can say how it ended."""
LOG_LINES_MAX = 500
"""Lines of a job's output that are put into its run's log when the flow never began."""
LOG_PAGES_MAX = 1000
"""Pages of a job's output that are read at its end."""


class Failure(Enum):
    """What an error of the service means."""

    FINAL = "final"
    """Trying again will not help."""
    BUSY = "busy"
    """Nothing was done; try again."""
    UNKNOWN = "unknown"
    """There is no telling whether it was done: the answer was lost."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job is. Make one by `pending`, `running` or `ended`."""

    phase: str
    exit_code: int | None = None
    message: str = ""

    @classmethod
    def pending(cls, message: str = "") -> JobStatus:
        """It is on its way: waits for a place, pulls its image. `message` says so in words, and is logged when it changes."""
        return cls("pending", None, message)

    @classmethod
    def running(cls, message: str = "") -> JobStatus:
        """Its command runs."""
        return cls("running", None, message)

    @classmethod
    def ended(cls, exit_code: int | None, message: str = "") -> JobStatus:
        """It is over; `exit_code` is None when the service does not know it. `message` says why it ended badly, and what to do."""
        return cls("ended", exit_code, message)


@dataclass(frozen=True, slots=True)
class JobLogs:
    """Lines of a job's output, and `after`: what to ask with for those that follow. None: the same as before."""

    lines: list[str] = field(default_factory=list[str])
    after: str | None = None


class SubmissionUnknown(InfrastructureError):
    """A job may or may not have been started, and the service does not say which."""


class RemoteJobWorker(BaseWorker[C, V, R], ABC):
    """A worker whose runs are jobs of a service. The methods below `what a plugin writes` may block; they are called from threads.

    - A job is submitted with a token. When the answer is lost, the service is asked for a job with that token, which is then adopted; only when
      there is none is it submitted again, and when that cannot be told the run fails at once: no run is ever started twice.
    - A service that does not answer for a while is waited for; a job that is gone ends with the status -1.
    - What a worker started that was killed is watched to its end, and can be cancelled, by the next worker of the pool. The token is noted with the
      run before its job is submitted: by it a job is found whose worker died before it could note the identifier. What is left of jobs that ended
      meanwhile is removed.
    """

    job_configuration: ClassVar[Any] = RemoteJobConfiguration
    job_configuration_variables: ClassVar[Any] = RemoteJobVariables
    result_class: ClassVar[type[BaseWorkerResult]] = BaseWorkerResult
    """What `run` returns; made with `identifier` and `status_code`."""

    gone_status: int = STATUS_UNKNOWN
    """The status code of a job that was removed while it was watched. 0: the state is left to the run."""
    submit_tries: int = 4
    retry_seconds: float = 1.0
    """The pause before the second try; it doubles, up to 15 seconds."""
    submit_seconds_max: float = 1800
    """How long one call of `submit_job` may take."""
    call_seconds_max: float = 120
    """How long any other call may take."""
    unreachable_seconds_max: float = 1800
    """How long the service may fail to answer while a job is watched, before the worker gives up watching; the run goes on then."""
    needs_api_url: bool = True
    """Whether jobs have to reach a server: then a run without HEADRACE_API_URL in its environment is refused."""

    # --- what a plugin writes

    @abstractmethod
    def submit_job(self, job: C, token: str) -> str:
        """Start a job that runs `job.command` with `job.environment`, marked with `token`; return what it is known by."""

    @abstractmethod
    def find_job(self, job: C, token: str) -> str | None:
        """Return what the job that is marked with `token` is known by, or None when there is none. Asked after an answer was lost."""

    @abstractmethod
    def poll_job(self, identifier: str, job: C) -> JobStatus:
        """Return how far a job is. Raises `InfrastructureNotFound` when it is gone."""

    @abstractmethod
    def stop_job(self, identifier: str, job: C, grace_seconds: int) -> None:
        """End a job: ask it to, and force it after `grace_seconds`, where the service can.

        Raises `InfrastructureNotFound` when it is gone or has ended, `InfrastructureNotAvailable` when it is not to be reached from here, as on
        another host, and `ValueError` for an identifier that is none. `job` may be a configuration that is not prepared.
        """

    def read_logs(self, identifier: str, job: C, after: str | None) -> JobLogs:
        """Return lines of a job's output: from the start without `after`, else those behind it. No lines: there are no more as yet."""
        return JobLogs()

    def clean_up(self, identifier: str, job: C) -> None:
        """Remove what is left of a job that has ended. What it raises is a warning."""
        return

    def failure_of(self, error: Exception) -> Failure:
        """Say what an SDK's error means. Default: lost connections and time limits are UNKNOWN, all else is FINAL.

        `InfrastructureNotAvailable` is BUSY: raise it when nothing answers at all.
        """
        if isinstance(error, InfrastructureNotAvailable):
            return Failure.BUSY
        return Failure.UNKNOWN if isinstance(error, ConnectionError | TimeoutError) else Failure.FINAL

    def poll_seconds(self, job: C) -> float:
        """Return how often a job's status is asked for."""
        return 5.0

    def start_timeout_seconds(self, job: C) -> float | None:
        """Return how long a job may take until it runs; then it is stopped and its run Crashed. None: without end."""
        return None

    def run_timeout_seconds(self, job: C) -> float | None:
        """Return how long a job may take in all; then it is stopped and its run Crashed. None: without end."""
        return None

    def streams_output(self, job: C) -> bool:
        """Say whether a job's output is shown on the worker's own."""
        return False

    def is_watched(self, job: C) -> bool:
        """Say whether a job is polled until it ends. False when something else tells of its end: then `run` returns 0 once it is started."""
        return True

    # --- what the library does with it

    def sees_the_end_of(self, configuration: C) -> bool:
        """Say whether the job is watched: then a flow that has not begun when it ends will not begin."""
        return self.is_watched(configuration)

    async def setup(self) -> None:
        """See `BaseWorker.setup`."""
        await super().setup()
        self.left_alone: set[UUID] = set()
        """Runs under way whose jobs are not to be looked at again unless they are cancelled."""
        self.known_gone: set[str] = set()
        """Names of workers of the pool that gave no signs of life when it was last asked for them."""
        self._threads = ThreadPoolExecutor(THREADS_MAX, "headrace-worker")

    async def teardown(self, *exc_info: Any) -> None:
        """See `BaseWorker.teardown`."""
        await super().teardown(*exc_info)
        self._threads.shutdown(wait=False)

    async def sync_with_backend(self) -> None:
        """See `BaseWorker.sync_with_backend`; besides, jobs are adopted that nobody watches."""
        await super().sync_with_backend()
        await adoption.adopt_jobs(self)

    async def cancel_runs(self) -> None:
        """See `BaseWorker.cancel_runs`; jobs that nobody watches are stopped too."""
        await super().cancel_runs()
        await adoption.adopt_jobs(self, (StateType.CANCELLING,))

    async def run(self, flow_run: FlowRun, configuration: C, task_status: Any = None) -> R:
        """Submit a run's job, watch it to its end, and say how it ended."""
        if self.needs_api_url and not configuration.env.get("HEADRACE_API_URL") and "HEADRACE_API_URL" not in configuration.secret_env:
            raise RuntimeError(
                f"Jobs of type {self.type!r} run elsewhere and have to reach a server, and this worker has none: its database is in its own process. "
                "Start one with `headrace server start`, and set HEADRACE_API_URL to its address for the worker, or in the job variable `env`."
            )
        logger = cast("Logger", self.get_flow_run_logger(flow_run))
        identifier = await self._started_once(flow_run, configuration, logger)
        if task_status is not None:
            task_status.started(identifier)
        self.left_alone.add(flow_run.id)
        if not self.is_watched(configuration):
            return self._result(identifier, JobStatus.ended(0))
        try:
            return await self.watch(identifier, flow_run, configuration)
        except Exception:
            self.left_alone.discard(flow_run.id)  # the next time that it asks, it goes on with it
            raise

    async def watch(self, identifier: str, flow_run: FlowRun, configuration: C) -> R:
        """Watch a job to its end, whoever started it, and clean up after it."""
        logger = cast("Logger", self.get_flow_run_logger(flow_run))
        output = _Output(self, identifier, configuration)
        status = await self._watched(identifier, configuration, output, logger)
        await output.finish()
        if status.exit_code != 0 and status.message:
            one = self._runs.get(flow_run.id)
            is_told_later = status.exit_code is None or status.exit_code == STATUS_UNKNOWN  # with the state that it makes of the run
            level = logging.INFO if is_told_later or (one is not None and one.is_cancelled) else logging.ERROR  # what was wanted is no error
            logger.log(level, "The job %s ended: %s", identifier, status.message)
        await self._tell_output(flow_run, output, logger)
        try:
            await self.call(self.clean_up, identifier, configuration)
        except InfrastructureNotFound:
            logger.debug("Nothing is left of the job %s.", identifier)
        except Exception as error:  # noqa: BLE001  # whatever an SDK raises; the job is over
            logger.warning("What is left of the job %s could not be removed: %s: %s", identifier, type(error).__name__, error)
        await adoption.note(self, flow_run.id, {adoption.LABEL: ""})
        return self._result(identifier, status)

    async def kill_infrastructure(self, infrastructure_pid: str, configuration: C, grace_seconds: int = KILL_GRACE_SECONDS) -> None:
        """See `BaseWorker.kill_infrastructure`. A service that is busy or away is asked again before it counts as not available."""
        for attempt in range(1, self.submit_tries + 1):
            try:
                await self.call(self.stop_job, infrastructure_pid, configuration, grace_seconds, seconds=self.call_seconds_max + grace_seconds)
                return
            except (InfrastructureError, ValueError):
                raise
            except Exception as error:
                if attempt == self.submit_tries or self.failure_of(error) is Failure.FINAL:
                    raise InfrastructureNotAvailable(
                        f"The service did not stop the job {infrastructure_pid}: {type(error).__name__}: {error}"
                    ) from error
            await self.pause(attempt)

    @property
    def takes_runs(self) -> bool:
        """Whether the pool is this worker's, as far as it knows, and it is not about to stop."""
        return self._is_reached and self._work_pool is not None and not self._complaint and not self.is_stopping

    def get_logger(self) -> Logger:
        """Return the worker's own logger."""
        return cast("Logger", self._logger)

    def has_run(self, run_id: UUID) -> bool:
        """Say whether it has this run."""
        return run_id in self._runs

    def begin_adopted(self, one: adoption.AdoptedRun) -> None:
        """Watch a run's job that another worker started; it goes on in the background."""
        self._follow(one, one.conduct_adopted())

    def show_line(self, line: str) -> None:
        """Show a line of a job's output. Default: on standard output."""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def complain_of_logs(self, identifier: str, error: Exception) -> None:
        """Tell that a job's output could not be read."""
        self._say(f"The output of the job {identifier} cannot be read: {type(error).__name__}: {error}")

    async def call(self, method: Callable[..., T], *args: Any, seconds: float | None = None) -> T:
        """Call a method that blocks, in a thread. Raises `TimeoutError` when it takes too long; it is not waited for any more then."""
        limit = self.call_seconds_max if seconds is None else seconds
        context = copy_context()  # the thread logs and asks for the client as this task does
        working = asyncio.get_running_loop().run_in_executor(self._threads, lambda: context.run(method, *args))
        try:
            return await asyncio.wait_for(working, limit)
        except TimeoutError:
            if working.cancelled():
                raise TimeoutError(f"The service did not answer `{method.__name__}` within {limit:g} seconds.") from None
            raise

    async def _started_once(self, flow_run: FlowRun, job: C, logger: Logger) -> str:
        """Submit a run's job, unless a worker has done so before that did not live to tell of it."""
        is_left = token_left_behind(flow_run) is not None
        await adoption.note_submission(self, flow_run, job.token)
        try:
            if is_left and (found := await self._found(job, InfrastructureError("the worker that was starting it is gone"))) is not None:
                logger.info("The job %s had been started for this run by another worker; it is adopted.", found)
                return found
            return await self._submitted(job, logger)
        except Exception:
            await adoption.note(self, flow_run.id, {TOKEN_LABEL: ""})  # what failed is over: another try is another job
            raise

    async def _submitted(self, job: C, logger: Logger) -> str:
        for attempt in range(1, self.submit_tries + 1):
            try:
                return await self.call(self.submit_job, job, job.token, seconds=self.submit_seconds_max)
            except Exception as error:
                failure = self.failure_of(error)
                if failure is Failure.UNKNOWN:
                    logger.warning("The answer to starting a job was lost (%s: %s); looking for the job.", type(error).__name__, error)
                    found = await self._found(job, error)
                    if found is not None:
                        logger.info("The job %s had been started; it is adopted.", found)
                        return found
                if failure is Failure.FINAL or attempt == self.submit_tries:
                    raise
                logger.warning("The job could not be started (%s: %s); trying again.", type(error).__name__, error)
            await self.pause(attempt)
        raise AssertionError("the last try returns or raises")

    async def _found(self, job: C, cause: Exception) -> str | None:
        """Return the job that a submission with a lost answer has made, if it has. A job may show a little later than it was made."""
        answer: str | None = None
        for attempt in range(1, self.submit_tries + 1):
            try:
                answer = await self.call(self.find_job, job, job.token)
            except Exception as error:  # noqa: BLE001  # whatever an SDK raises; it is asked again, or told as the cause
                if attempt == self.submit_tries or self.failure_of(error) is Failure.FINAL:
                    raise SubmissionUnknown(
                        f"Nobody knows whether the job was started ({type(cause).__name__}: {cause}), and the service does not say whether there is "
                        f"one ({type(error).__name__}: {error}). It is not started again, so that it does not run twice. Look for a job with the "
                        f"token {job.token}, end it if there is one, and retry the run."
                    ) from cause
            else:
                if answer is not None:
                    return answer
            await self.pause(attempt)
        return None

    async def _watched(self, identifier: str, job: C, output: _Output, logger: Logger) -> JobStatus:
        began, lost_since, said = clock.monotonic(), None, ""
        start, whole = self.start_timeout_seconds(job), self.run_timeout_seconds(job)
        while True:
            try:
                status = await self.call(self.poll_job, identifier, job)
                await output.show()
            except InfrastructureNotFound as error:
                return JobStatus.ended(self.gone_status, f"{error} It was removed while it was watched.".strip())
            except Exception as error:
                lost_since = lost_since or clock.monotonic()
                if self.failure_of(error) is Failure.FINAL or clock.monotonic() - lost_since > self.unreachable_seconds_max:
                    raise
                logger.warning("The service does not tell of the job %s (%s: %s); asking again.", identifier, type(error).__name__, error)
                await asyncio.sleep(self.poll_seconds(job))
                continue
            lost_since, taken = None, clock.monotonic() - began
            if status.phase == "ended":
                return status
            if status.message and status.message != said:
                said = status.message
                logger.info("The job %s is %s: %s", identifier, status.phase, said)
            limit = start if status.phase == "pending" and start is not None and taken > start else whole
            if limit is not None and taken > limit:
                what = "begin" if status.phase == "pending" else "end"
                return await self._out_of_time(
                    identifier, job, f"It did not {what} within {limit:g} seconds and was stopped. {status.message}".strip()
                )
            await asyncio.sleep(self.poll_seconds(job))

    async def _out_of_time(self, identifier: str, job: C, message: str) -> JobStatus:
        try:
            await self.kill_infrastructure(identifier, job, KILL_GRACE_SECONDS)
        except HeadraceException as error:
            message = f"{message} Stopping it: {error}"
        return JobStatus.ended(STATUS_UNKNOWN, message)

    async def _tell_output(self, flow_run: FlowRun, output: _Output, logger: Logger) -> None:
        """Put the end of a job's output into the run's log when the flow never began: nothing else tells what happened."""
        found = await self.claims.read(flow_run.id)
        if found is None or found.state is None or not found.state.is_pending():
            return
        for line in (await output.tail())[-LOG_LINES_MAX:]:
            logger.error("[job] %s", line)

    def _result(self, identifier: str, status: JobStatus) -> R:
        code = STATUS_UNKNOWN if status.exit_code is None else status.exit_code
        result = self.result_class(identifier=identifier, status_code=code)
        return cast("R", result.because(status.message or "Nobody knows how it ended.") if code == STATUS_UNKNOWN else result)

    async def pause(self, attempt: int) -> None:
        """Wait before the next try of a call."""
        await asyncio.sleep(min(self.retry_seconds * 2 ** (attempt - 1), 15.0) * random.uniform(0.5, 1))


class _Output:
    """A job's output, each line shown once."""

    def __init__(self, worker: RemoteJobWorker[Any, Any, Any], identifier: str, job: Any) -> None:
        self._worker, self._identifier, self._job = worker, identifier, job
        self._after: str | None = None
        self._is_shown = worker.streams_output(job)

    async def show(self) -> None:
        """Show what has come since the last time. A log that cannot be read now is read the next time."""
        if self._is_shown:
            self._tell(await self._page(self._after))

    async def finish(self) -> None:
        """Show all that is left."""
        for _ in range(LOG_PAGES_MAX if self._is_shown else 0):
            page = await self._insist(self._after)
            self._tell(page)
            if not page.lines:
                return

    async def tail(self) -> list[str]:
        """Return the last lines of all the output."""
        lines: list[str] = []
        after: str | None = None
        for _ in range(LOG_PAGES_MAX):
            page = await self._insist(after)
            lines = [*lines, *page.lines][-LOG_LINES_MAX:]
            if not page.lines or page.after is None:
                break
            after = page.after
        return lines

    def _tell(self, page: JobLogs | None) -> None:
        if page is not None:
            self._after = page.after if page.after is not None else self._after
            for line in page.lines:
                self._worker.show_line(line)

    async def _insist(self, after: str | None) -> JobLogs:
        for attempt in range(1, self._worker.submit_tries + 1):
            page = await self._page(after)
            if page is not None:
                return page
            await self._worker.pause(attempt)
        return JobLogs()

    async def _page(self, after: str | None) -> JobLogs | None:
        try:
            return await self._worker.call(self._worker.read_logs, self._identifier, self._job, after)
        except Exception as error:  # noqa: BLE001  # output is told where it can be; the run does not hang on it
            self._worker.complain_of_logs(self._identifier, error)
            return None
