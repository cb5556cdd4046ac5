"""Signs of life of the flow runs of this process: events from one daemon thread, which goes on while user code blocks."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from headrace.model import clock
from headrace.settings import in_force

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun

EVENT = "prefect.flow-run.heartbeat"
FIRST_BEAT_SECONDS = 1.0
"""A run that ends sooner sends none, so quick runs cost nothing."""
TICK_SECONDS = 0.25


class _Watched:
    __slots__ = ("due", "flow_name", "interval", "run", "settings")

    def __init__(self, run: FlowRun, flow_name: str, interval: float) -> None:
        self.run = run
        self.flow_name = flow_name
        self.interval = interval
        self.settings = in_force.override.get()
        """The settings that were given to the run in code, if any: they say where its events go."""
        self.due = clock.monotonic() + FIRST_BEAT_SECONDS


_lock = threading.Lock()
_watched: dict[int, _Watched] = {}
_thread: threading.Thread | None = None


def begin(run: FlowRun, flow_name: str) -> None:
    """Send signs of life of a run, every `flows.heartbeat_frequency` seconds until `end`. Does nothing when that setting is None."""
    from headrace.settings import get_current_settings

    interval = get_current_settings().flows.heartbeat_frequency
    if interval is None:
        return
    global _thread
    with _lock:
        _watched[id(run)] = _Watched(run, flow_name, interval)
        if _thread is None:
            _thread = threading.Thread(target=_beat_while_watched, name="headrace-heartbeats", daemon=True)
            _thread.start()


def end(run: FlowRun) -> None:
    """Send no more signs of life of a run."""
    with _lock:
        _watched.pop(id(run), None)


def _beat_while_watched() -> None:
    global _thread
    pause = threading.Event()
    while True:
        pause.wait(TICK_SECONDS)
        with _lock:
            if not _watched:
                _thread = None
                return
            now = clock.monotonic()
            due = [one for one in _watched.values() if one.due <= now]
        for one in due:
            one.due = now + one.interval
            in_force.override.set(one.settings)
            _beat(one)


def _beat(one: _Watched) -> None:
    import headrace
    from headrace.objects.events import emit_event

    run = one.run
    related = [{"prefect.resource.id": f"prefect.flow.{run.flow_id}", "prefect.resource.role": "flow", "prefect.resource.name": one.flow_name}]
    if run.deployment_id is not None:
        related.append({"prefect.resource.id": f"prefect.deployment.{run.deployment_id}", "prefect.resource.role": "deployment"})
    related += [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in run.tags]
    resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name, "prefect.version": headrace.__version__}
    try:
        emit_event(EVENT, resource, related=related)
    except Exception as error:  # noqa: BLE001  # a thread's border: reported, and tried again at the next beat
        logging.getLogger("headrace.flow_runs").warning(
            "The run's sign of life could not be sent: %s. It is sent again in %g seconds.",
            error,
            one.interval,
            extra={"flow_run_id": str(run.id), "flow_run_name": run.name, "flow_name": one.flow_name},
        )


def _after_fork() -> None:
    global _lock, _thread
    _lock, _thread = threading.Lock(), None
    _watched.clear()


os.register_at_fork(after_in_child=_after_fork)
