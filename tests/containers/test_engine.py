"""The container engine and the registries that tests stand on."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

import headrace
from headrace.testing.containers import REGISTRY_PASSWORD, REGISTRY_USER, DockerEngine
from testing.sharing import assert_is_shared, comes_true, start_user

pytestmark = pytest.mark.services


@pytest.mark.parametrize("kind", ["docker", "registry"])
def test_processes_share_a_service_until_the_last_one_dies(kind: str, tmp_path: Path) -> None:
    assert_is_shared(kind, tmp_path)


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
