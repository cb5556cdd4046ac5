"""One flow run on its way through a runner: waited for, taken, started in a process, watched to its end. The order of things is that of the lines."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.deploy.child import CLAIM, FLOW_RUN_ID, HOOKS_ONLY, STORAGE_BASE_PATH
from headrace.deploy.children import STATUS_UNKNOWN, Child, each_line
from headrace.deploy.flow_process import ENTRYPOINT
from headrace.deploy.workers.statuses import explain
from headrace.model import clock
from headrace.model.errors import HeadraceException, ObjectNotFound
from headrace.model.orchestration import SetStateStatus
from headrace.model.states import Cancelled, Crashed
from headrace.objects.events import emit_event
from headrace.settings import get_current_settings
from headrace.settings.environment import internal_name

if TYPE_CHECKING:
    from headrace.deploy.deployments import RunnerDeployment
    from headrace.deploy.runner import Runner
    from headrace.model.flow_runs import FlowRun

CANCEL_GRACE_SECONDS = 30.0
STOP_GRACE_SECONDS = 10.0
HOOKS_SECONDS_MAX = 60.0
HOOKS_BEFORE_END_SECONDS = 10.0
"""How long a cancelled run waits for its hooks before it is Cancelled: they import its file again, which may hang."""
OUTPUT_SECONDS_MAX = 5.0


class HeldRun:
    """A run that a runner knows of: it waits here for its time and for room, or its process runs."""

    def __init__(self, runner: Runner, run: FlowRun, deployment: RunnerDeployment | None) -> None:
        self.run = run
        self.child: Child | None = None
        self.task: asyncio.Task[None] | None = None
        self.entrypoint: str | None = deployment.entrypoint if deployment is not None else None
        self._hooks: Child | None = None
        self._is_taken = False
        self.is_cancelled = False
        self._runner = runner
        self._deployment = deployment
        self._claims = runner.claims

    async def conduct(self) -> None:
        """See the run through. Raises nothing: what cannot be done is logged, and the run has a state that says so, if the server can be reached."""
        try:
            await self._wait_for_its_time()
            async with self._runner.room:
                if not self._runner.is_stopping and await self._take():
                    await self._run()
        except ObjectNotFound:
            self._runner.logger.info("Flow run %r was deleted.", self.run.name)
        except (HeadraceException, OSError) as error:
            self._runner.logger.error("Lost sight of flow run %r: %s", self.run.name, error)
        finally:
            self._claims.forget(self.run.id)

    async def _wait_for_its_time(self) -> None:
        due = self.run.next_scheduled_start_time or self.run.expected_start_time
        if due is not None:
            await asyncio.sleep(max(0.0, (due - clock.now()).total_seconds()))

    async def _take(self) -> bool:
        answer = await self._claims.take(self.run)
        if answer.status is not SetStateStatus.ACCEPT:
            reason = getattr(answer.details, "reason", None) or (answer.state.name if answer.state is not None else answer.status)
            self._runner.logger.debug("Flow run %r is not taken: %s", self.run.name, reason)
            return False
        self._is_taken = True
        return True

    async def _run(self) -> None:
        logger, name = self._runner.logger, self.run.name
        try:
            self.child = await self._runner.launcher.start(self._environment(), self._folder())
        except OSError as error:
            await self._claims.end(self.run.id, Crashed(message=f"The process for this flow run could not be started: {error}."))
            logger.error("The process for flow run %r could not be started: %s", name, error)
            return
        logger.info("Flow run %r runs in process %s.", name, self.child.pid)
        printing = asyncio.create_task(each_line(self.child, self._print))
        if self._runner.is_stopping:
            await self.stop()
        status = await self.child.wait()
        with suppress(TimeoutError):  # a process that the run left behind may hold the pipe
            await asyncio.wait_for(printing, OUTPUT_SECONDS_MAX)
        await self._conclude(status)

    def _print(self, line: str) -> None:
        print(line if self.run.name in line else f"{self.run.name} | {line}", flush=True)  # noqa: T201  # passes on what the child prints

    # --- what the process is given ------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        told = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True), internal_name(FLOW_RUN_ID): str(self.run.id)}
        if self._runner.heartbeat_seconds is not None:
            told["HEADRACE_FLOWS_HEARTBEAT_FREQUENCY"] = str(self._runner.heartbeat_seconds)
        if self._is_taken and self.run.state_id is not None:
            told[internal_name(CLAIM)] = str(self.run.state_id)
        if self.entrypoint:
            told[internal_name(ENTRYPOINT)] = self.entrypoint
        told[internal_name(STORAGE_BASE_PATH)] = str(self._runner.storage_folder or Path.cwd())
        return told

    def _folder(self) -> str | None:
        storage: Any = self._deployment.storage if self._deployment is not None else None
        return str(storage.destination) if storage is not None else None

    # --- ending -------------------------------------------------------------------------------------------------------------

    async def cancel(self) -> None:
        """End the process of a run that is being cancelled, and all that it started. Its engine says Cancelled, or else the runner does."""
        if self.is_cancelled or self.child is None:
            return
        self.is_cancelled = True
        self._runner.logger.info("Flow run %r is being cancelled; its process %s is told to end.", self.run.name, self.child.pid)
        await self.child.end(CANCEL_GRACE_SECONDS)

    def give_up(self) -> None:
        """Wait no longer for the run's time, or for room, because the runner ends. A run that is taken already is seen through."""
        if not self._is_taken and self.task is not None:
            self.task.cancel()

    async def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """End the processes because the runner ends."""
        for child in (self.child, self._hooks):
            if child is not None and not child.has_ended:
                await child.end(grace_seconds)

    async def _conclude(self, status: int) -> None:
        """Give the run a final state if its process could not, and run the hooks that go with it."""
        found = await self._claims.read(self.run.id)
        state = found.state if found is not None else None
        if found is None or state is None:
            return
        if state.is_cancelling():
            hooks = asyncio.create_task(self._run_hooks())
            await asyncio.wait((hooks,), timeout=HOOKS_BEFORE_END_SECONDS)
            state = await self._claims.end(self.run.id, Cancelled(message="The flow run was cancelled, and its process ended."))
            await hooks
        elif not (state.is_final() or state.is_paused() or state.is_scheduled()):
            message = crash_message(status)
            self._runner.logger.error("Flow run %r crashed: %s", self.run.name, message)
            await self._claims.end(self.run.id, Crashed(message=message))
            await self._run_hooks()
            return
        if self.is_cancelled or (state is not None and state.is_cancelled()):
            self._tell_cancelled(found)

    def _tell_cancelled(self, run: FlowRun) -> None:
        resource = {"prefect.resource.id": f"prefect.runner.{self._runner.name}", "prefect.resource.name": self._runner.name}
        related = [{"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run", "prefect.resource.name": run.name}]
        if run.deployment_id is not None:
            related.append({"prefect.resource.id": f"prefect.deployment.{run.deployment_id}", "prefect.resource.role": "deployment"})
        emit_event("prefect.runner.cancelled-flow-run", resource, related=related)

    async def _run_hooks(self) -> None:
        """Run the hooks that the dead process cannot run, in another one: the runner itself runs no code of users."""
        try:
            child = self._hooks = await self._runner.launcher.start({**self._environment(), internal_name(HOOKS_ONLY): "1"}, self._folder())
        except OSError as error:
            self._runner.logger.error("The hooks of flow run %r could not be run: %s", self.run.name, error)
            return
        printing = asyncio.create_task(each_line(child, self._print))
        try:
            await asyncio.wait_for(child.wait(), HOOKS_SECONDS_MAX)
        except TimeoutError:
            self._runner.logger.error("The hooks of flow run %r took more than %s seconds and were ended.", self.run.name, HOOKS_SECONDS_MAX)
            await child.end(0)
        with suppress(TimeoutError):
            await asyncio.wait_for(printing, OUTPUT_SECONDS_MAX)


def crash_message(status: int) -> str:
    """Say how a process ended that did not end its flow run."""
    if status == STATUS_UNKNOWN:
        return "The process that ran this flow run ended without reporting the run's end; nobody saw how."
    how = f"was ended by the signal {signal.Signals(-status).name}" if -status in {one.value for one in signal.Signals} else "exited"
    text = f"The process that ran this flow run {how} (status code: {status}) without reporting the run's end. {explain(status)}"
    return text.rstrip()
