"""What tests of this room stand on: a server that they share, since starting one takes a second."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from headrace.client.connect import forget_client
from headrace.client.spool import close_process_spool
from headrace.settings.in_force import process


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """Run a server for the tests of a module, in a home of its own, and give its address."""
    from headrace.testing.server import server_process  # needs an extra, which not every test here does

    home = tmp_path_factory.mktemp("server-home")
    with server_process(environment={"HEADRACE_HOME": str(home), "HEADRACE_LOGGING_LEVEL": "ERROR"}) as server:
        yield server.url


@pytest.fixture
def api(shared_server: str, monkeypatch: pytest.MonkeyPatch) -> Generator[str, None, None]:
    """Have the test use the module's server."""
    monkeypatch.setenv("HEADRACE_API_URL", shared_server)
    process.context = process.chosen_profile = None
    yield shared_server
    close_process_spool()
    forget_client()
