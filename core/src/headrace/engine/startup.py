"""What happens once per process before its first run: logging is set up, plugins' startup hooks run."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from headrace.engine import logs

if TYPE_CHECKING:
    from headrace.engine.ports import Ports

_lock = Lock()
_started = False


async def start_once(ports: Ports) -> None:
    """Get this process ready to run flows; does nothing from the second call on."""
    global _started
    if _started:
        return
    with _lock:
        if _started:
            return
        _started = True
        logs.setup()
        from headrace.settings import get_current_settings

        if get_current_settings().plugins.enabled:
            from headrace.plugin.startup import run_once

            run_once()
