"""The container engine and the registries that tests stand on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

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


# What machines lack: made so in namespaces of the test's own, in a folder where `data` is the one that the engine gets.
LACKING = {
    "cgroups": "umount -R /sys/fs/cgroup",
    "cgroups that can be written to": "for one in /sys/fs/cgroup/*; do mount -o remount,bind,ro $one; done",
    "a /run that can be written to": "mount --bind /run /run && mount -o remount,bind,ro /run",
    "a file system for overlays": "mkdir lower upper work && mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work data",
    "open files": "ulimit -n 1024",
    "iptables": "touch nothing && for one in /usr/sbin/*tables* /usr/sbin/nft; do [ ! -e $one ] || mount --bind nothing $one; done",
}
START = """
    import sys
    from pathlib import Path
    from headrace.testing import engines
    process, address = engines.start_engine(Path("data").absolute())
    with engines.DockerEngine(address).client() as client:
        print(client.get("/info").json()["Driver"])
    engines.stop_engine(process, address)
    """


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, as sockets want it, and with `data` in it."""
    with TemporaryDirectory(prefix="engine-") as made:
        Path(made, "data").mkdir()
        yield Path(made)


@pytest.mark.parametrize("lacking", LACKING)
def test_an_engine_starts_on_a_machine_that_lacks(lacking: str, folder: Path) -> None:
    script = f'{LACKING[lacking]}; exec "$@"'
    command = ["unshare", "--mount", "--net", "sh", "-c", script, "sh", sys.executable, "-c", dedent(START)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == ("vfs" if "overlays" in lacking else "overlay2"), done.stderr
    assert not [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]


def test_a_machine_where_no_engine_can_run_is_told_why_and_what_to_do(folder: Path) -> None:
    command = ["setpriv", "--bounding-set", "-sys_admin", sys.executable, "-c", dedent(START)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    for words in ("failed to mount overlay: operation not permitted", "no container does", "start that with --privileged"):
        assert words in done.stderr


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
