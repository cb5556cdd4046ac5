"""The documented classes of background services: `Service`, its markers, and `LoopService`, which users may derive from too.

What a service does stands in its own module; which ones a server runs, in `runtime`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, NoReturn, TypeVar

from headrace.model import clock
from headrace.settings.tree.services import ServicesBaseSetting

if TYPE_CHECKING:
    from typing import Self

S = TypeVar("S", bound="Service")

RESTART_SECONDS = 5.0
"""After so long a service that ended by an error is started again."""
STOP_SECONDS_MAX = 30.0
"""How long services that are told to stop may finish what they are at; then they are cancelled."""


class Service(ABC):
    """Something that a server does on its own, beside answering requests."""

    def __init__(self) -> None:
        self.name = type(self).__name__
        self.logger = logging.getLogger(f"headrace.server.services.{self.name.lower()}")

    @classmethod
    def service_settings(cls) -> ServicesBaseSetting:
        """Return the settings of this service, of which `enabled` says whether it runs. A class that does not override this always runs."""
        return ServicesBaseSetting.always()

    @classmethod
    def enabled(cls) -> bool:
        """Say whether the settings in force want this service to run."""
        return bool(cls.service_settings().enabled)

    @classmethod
    def environment_variable_name(cls) -> str:
        """Return the environment variable that switches this service, such as `HEADRACE_SERVER_SERVICES_SCHEDULER_ENABLED`; "" if there is none."""
        declared = type(cls.service_settings()).settings_declared.get("enabled")
        return declared.variable if declared is not None else ""

    @classmethod
    def all_services(cls) -> Sequence[type[Self]]:
        """Return every class of services of this kind: headrace's own, in their order, then those that were defined since."""
        from headrace.server.services.builtin import SERVICES

        known: list[type[Self]] = [one for one in SERVICES if issubclass(one, cls)]
        return [*known, *(one for one in _concrete(cls) if one not in known)]

    @classmethod
    def enabled_services(cls) -> list[type[Self]]:
        """Return those of `all_services` that the settings want to run."""
        return [one for one in cls.all_services() if one.enabled()]

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncGenerator[None, None]:
        """Run the enabled services of this kind while the block lasts. They stop gracefully at its end."""
        async with kept_running([one() for one in cls.enabled_services()]):
            yield

    @classmethod
    async def run_services(cls) -> NoReturn:
        """Run the enabled services of this kind until this is cancelled."""
        async with cls.running():
            while True:
                await asyncio.Event().wait()

    @abstractmethod
    async def start(self) -> None:
        """Run the service until it is stopped."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop the service."""


class RunInEphemeralServers(Service, ABC):
    """Marks services that run in a server of one process's own too."""


class RunInWebservers(Service, ABC):
    """Marks services that run wherever requests are answered."""


class RunInAllServers(RunInEphemeralServers, RunInWebservers, ABC):
    """Marks services that run in all server processes, web servers and those that run services alone."""


class LoopService(Service, ABC):
    """A service that does something again and again: derive, define `run_once`, and set `loop_seconds`.

    Rounds never overlap. A round begins `loop_seconds` after the one before it began, or at once when that one took longer. A round that
    raises is logged, and the next one comes as usual. `handle_signals` makes SIGINT and SIGTERM stop the service gracefully.
    """

    loop_seconds: float = 60

    def __init__(self, loop_seconds: float | None = None, handle_signals: bool = False) -> None:
        super().__init__()
        if loop_seconds is not None:
            self.loop_seconds = float(loop_seconds)
        self._handle_signals = handle_signals
        self._stop_wanted: asyncio.Event | None = None  # there while the service runs
        self._stopped: asyncio.Event | None = None
        self._runner: asyncio.Task[object] | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called and the present round is the last."""
        return self._stop_wanted is not None and self._stop_wanted.is_set()

    @abstractmethod
    async def run_once(self) -> None:
        """Do one round. To run one from outside use `start(loops=1)`, which sets up and tears down as well."""

    async def _on_start(self) -> None:
        """Prepare; called before the first round."""

    async def _on_stop(self) -> None:
        """Clean up; called after the last round."""

    async def start(self, loops: int | None = None) -> None:
        """Run `loops` rounds, or rounds until `stop` (None). Raises `RuntimeError` when the service is running already."""
        if self._stop_wanted is not None:
            raise RuntimeError(f"The service {self.name} is running already. Stop it first, or make another instance.")
        stop_wanted, stopped = asyncio.Event(), asyncio.Event()
        self._stop_wanted, self._stopped, self._runner = stop_wanted, stopped, asyncio.current_task()
        try:
            async with AsyncExitStack() as cleaning:
                if self._handle_signals:
                    cleaning.enter_context(_stopping_at_signals([self]))
                cleaning.push_async_callback(self._on_stop)
                await self._on_start()
                await self._loop(loops, stop_wanted)
        finally:
            self._stop_wanted = self._runner = None
            stopped.set()

    async def _loop(self, loops: int | None, stop_wanted: asyncio.Event) -> None:
        due = clock.monotonic()
        done = 0
        while not stop_wanted.is_set():
            try:
                await self.run_once()
            except Exception:  # a service's border: reported, and tried again in the next round
                self.logger.exception("A round of the service %s failed. The next one comes as usual.", self.name)
            done += 1
            if loops is not None and done >= loops:
                return
            now = clock.monotonic()
            due = max(due + self.loop_seconds, now)
            await _wait(stop_wanted, due - now)

    async def stop(self, block: bool = True) -> None:
        """Ask a running service to stop after its present round, and wait until it has (`block`). Does nothing when it does not run.

        A service that stops itself within a round only asks, for it would wait for itself.
        """
        self.ask_to_stop()
        if block and self._stopped is not None and asyncio.current_task() is not self._runner:
            await self._stopped.wait()

    def ask_to_stop(self) -> None:
        """Let the present round be the last; as `stop(block=False)`, for where nothing can be awaited."""
        if self._stop_wanted is not None:
            self._stop_wanted.set()


async def run_multiple_services(loop_services: Sequence[LoopService]) -> None:
    """Run several services until SIGINT or SIGTERM stops all of them, each after its present round."""
    with _stopping_at_signals(loop_services):
        await asyncio.gather(*(service.start() for service in loop_services))


class _stopping_at_signals:
    """Let SIGINT and SIGTERM stop services; at the end signals do what they did before."""

    def __init__(self, services: Sequence[LoopService]) -> None:
        self._services = services

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self._before:
            loop.add_signal_handler(number, self._stop)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number, handler in self._before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)

    def _stop(self) -> None:
        for service in self._services:
            service.ask_to_stop()


# --- running several ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def kept_running(services: Sequence[Service], spread_seconds: float = 0, context: Context | None = None) -> AsyncGenerator[None, None]:
    """Run these services while the block lasts. One that ends by an error is logged and started again; at the end all stop gracefully.

    Each starts at a random moment of the first `spread_seconds`, so that their rounds do not come all at once. `context` is what they run in.
    """
    ending = asyncio.Event()
    tasks = [
        asyncio.create_task(_keep(service, ending, spread_seconds * random.random()), name=service.name, context=context) for service in services
    ]
    try:
        yield
    finally:
        ending.set()
        stopping = [asyncio.create_task(_stop(service)) for service in services]
        if tasks:
            _, late = await asyncio.wait([*tasks, *stopping], timeout=STOP_SECONDS_MAX)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, *stopping, return_exceptions=True)


async def _keep(service: Service, ending: asyncio.Event, wait_seconds: float) -> None:
    await _wait(ending, wait_seconds)
    while not ending.is_set():
        try:
            await service.start()
            return
        except Exception:  # a service's border: reported, and tried again
            service.logger.exception("The service %s ended by an error. It is started again in %g seconds.", service.name, RESTART_SECONDS)
        await _wait(ending, RESTART_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for `event`, but no longer than `seconds`."""
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
    else:
        await asyncio.sleep(0)  # others get their turn in a loop without pauses


async def _stop(service: Service) -> None:
    try:
        await service.stop()
    except Exception:  # a service's border: the others are to stop all the same
        service.logger.exception("The service %s could not be stopped.", service.name)


def _concrete(cls: type[S]) -> list[type[S]]:
    found: list[type[S]] = [] if inspect.isabstract(cls) else [cls]
    for one in cls.__subclasses__():
        found += [sub for sub in _concrete(one) if sub not in found]
    return found
