"""The services that tests stand on: shared while somebody uses them, gone afterwards."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import headrace
from headrace.testing.containers import REGISTRY_PASSWORD, REGISTRY_USER, DockerEngine
from headrace.testing.services import shared_service
from headrace.testing.starting import ServiceMissing

pytestmark = pytest.mark.services

USER = """
    import sys
    from pathlib import Path
    from headrace.testing.services import shared_service
    with shared_service(sys.argv[1], Path(sys.argv[2])) as address:
        print(address, flush=True)
        sys.stdin.read()
"""


def is_open(address: str) -> bool:
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(address.removeprefix("unix://")) == 0
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0


def start_user(kind: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-c", textwrap.dedent(USER), kind, str(folder)]
    user = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    return user, user.stdout.readline().strip()


@pytest.mark.parametrize("kind", ["postgres", "redis", "docker", "registry"])
def test_processes_share_a_service_until_the_last_one_dies(kind: str, tmp_path: Path) -> None:
    first, address = start_user(kind, tmp_path)
    second, same = start_user(kind, tmp_path)
    assert address == same
    assert is_open(address)
    server = json.loads((tmp_path / f"{kind}.json").read_text())["pid"]
    first.kill()
    first.communicate()
    assert is_open(address)
    second.kill()  # nobody tidied up
    second.communicate()
    assert comes_true(lambda: not is_open(address) and not is_alive(server))
    with shared_service(kind, tmp_path) as next_address:
        assert is_open(next_address)


def test_an_engine_leaves_nothing_behind(tmp_path: Path) -> None:
    user, address = start_user("docker", tmp_path)
    image = DockerEngine(address).busybox_image()
    with DockerEngine(address).client() as client:  # one that heeds no request to end
        made = client.post("/containers/create", json={"Image": image, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "host"}}).json()
        client.post(f"/containers/{made['Id']}/start").raise_for_status()
        network = client.post("/networks/create", json={"Name": "left", "Driver": "bridge", "Internal": True}).json()["Id"]
    bridge = Path(f"/sys/class/net/br-{network[:12]}")
    assert bridge.exists()
    user.kill()
    user.communicate()
    folder = Path(address.removeprefix("unix://")).parents[1]
    assert comes_true(lambda: not folder.exists())
    assert str(folder) not in Path("/proc/mounts").read_text()
    assert not bridge.exists()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait until `condition` holds, for a bounded time."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_redis_answers(redis_server: str) -> None:
    with socket.create_connection(("127.0.0.1", int(redis_server.rpartition(":")[2])), timeout=10) as raw:
        raw.sendall(b"PING\r\n")
        assert raw.recv(100) == b"+PONG\r\n"


def test_a_container_has_its_environment_and_leaves_status_and_output(docker_engine: DockerEngine) -> None:
    done = docker_engine.run(docker_engine.busybox_image(), ["sh", "-c", "echo $WORD; echo wrong >&2; exit 3"], env={"WORD": "said"})
    assert done.status == 3
    assert sorted(done.output.splitlines()) == ["said", "wrong"]


def test_a_container_that_cannot_start_says_why(docker_engine: DockerEngine) -> None:
    with pytest.raises(RuntimeError, match="no-such-program"):
        docker_engine.run(docker_engine.busybox_image(), ["no-such-program"])


def test_a_container_runs_the_interpreter_and_the_packages_of_these_tests(docker_engine: DockerEngine) -> None:
    image = docker_engine.python_image()
    script = "import sys, headrace; print(sys.version, headrace.__file__)"
    done = docker_engine.run(image.reference, ["python", "-c", script], image.volumes)
    assert done.output.strip() == f"{sys.version} {headrace.__file__}"


def test_a_container_reaches_what_listens_on_this_machine(docker_engine: DockerEngine, docker_registry: str) -> None:
    done = docker_engine.run(docker_engine.busybox_image(), ["wget", "-q", "-O", "-", f"http://{docker_registry}/v2/"])
    assert (done.status, done.output) == (0, "{}")


def test_the_private_registry_lets_in_its_user_alone(private_docker_registry: str) -> None:
    address = f"http://{private_docker_registry}/v2/"
    assert httpx.get(address).status_code == 401
    assert httpx.get(address, auth=(REGISTRY_USER, "guessed")).status_code == 401
    assert httpx.get(address, auth=(REGISTRY_USER, REGISTRY_PASSWORD)).status_code == 200


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for kind, package in (("docker", "docker.io"), ("registry", "docker-registry"), ("redis", "redis-server")):
        with pytest.raises(ServiceMissing, match=f"apt-get install {package}"):
            with shared_service(kind, tmp_path / kind):
                pass


def test_an_engine_that_does_not_start_says_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\necho no cgroups here >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(ServiceMissing, match=r"(?s)dockerd does not start.*overlay2:\nno cgroups here.*vfs"):
        with shared_service("docker", tmp_path / "docker"):
            pass
