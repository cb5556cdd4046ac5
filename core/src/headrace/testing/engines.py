"""Starting a Docker engine for tests, whatever the machine lacks, and ending it with all that it still has.

An engine counts as started when it has run a container. Ways that are slower or need more are tried after those that are not and do not.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from headrace.testing.containers import DockerEngine, busybox_program
from headrace.testing.starting import ServiceMissing, wait_for

STOP_SECONDS_MAX = 20.0
ANSWER_SECONDS_MAX = 30.0
FILES_MAX = 20_000
"""How many files a container's processes may have open; fewer where this process may not have as many itself."""
LINES_KEPT = 12

_MISSING = "These tests need a Docker engine: apt-get install docker.io."
_NOT_ROOT = "The Docker engine of these tests is started by them, and needs root for that. Run the tests as root, or leave them out."
_CAP_SYS_ADMIN = 1 << 21
_CGROUPS = Path("/sys/fs/cgroup")
# In a mount namespace of its own: what is mounted here is seen by the engine and its containers alone, and gone with them.
_APART = """
if [ ! -w /run ]; then mount -t tmpfs -o mode=755 run /run || exit 1; fi
if [ -n "$CGROUPS" ]; then
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup || exit 1
    for names in $CGROUPS; do
        place="/sys/fs/cgroup/${names##*=}"
        mkdir "$place" && mount -t cgroup -o "$names" cgroup "$place" || rmdir "$place"
    done
else
    mount -t cgroup2 cgroup /sys/fs/cgroup || exit 1
fi
exec "$@"
"""
_HINTS = (
    ("no space left", "A disk is full: make room in the folder for temporary files, or set TMPDIR to another."),
    ("executable file not found", "A part of the engine is missing: apt-get install docker.io."),
    ("rlimit", "The limit of open files is too low (ulimit -n)."),
    ("cgroup", "Cgroups are not mounted here, and could not be: mount them on /sys/fs/cgroup, writable."),
    (
        "not permitted|permission denied|read-only file",
        "Mounting and making namespaces is not allowed: in a container, start that with --privileged.",
    ),
)
_HINT = "It needs cgroups, mounts and runc."


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to run dockerd: its storage driver, and whether it has mounts of its own, cgroups among them."""

    driver: str
    is_apart: bool

    def __str__(self) -> str:
        return f"with the storage driver {self.driver}{' and cgroups of its own mounting' if self.is_apart else ''}"


# overlay2 does not work where the folder lies on an overlay itself; vfs does everywhere, slowly.
_WAYS = (_Way("overlay2", False), _Way("vfs", False), _Way("overlay2", True), _Way("vfs", True))


def start_engine(data: Path) -> tuple[subprocess.Popen[Any], str]:
    """Start a Docker engine in a folder of its own; return its process and its address. Raises `ServiceMissing`, which says why and what to do."""
    program = shutil.which("dockerd")
    if program is None:
        raise ServiceMissing(_MISSING)
    if os.geteuid() != 0:
        raise ServiceMissing(_NOT_ROOT)
    busybox_program()
    said: dict[str, list[str]] = {}
    for number, way in enumerate(sorted(_WAYS, key=lambda way: way.is_apart != _lacks_cgroups())):
        try:
            return _started(program, data / str(number), way)
        except ServiceMissing as missing:
            said.setdefault(_last_lines(str(missing)), []).append(str(way))
    raise ServiceMissing(_explained(said))


def may_run_containers() -> bool:
    """Say whether the kernel lets this process mount and make namespaces, which every container engine does."""
    lines = Path("/proc/self/status").read_text().splitlines()
    capabilities = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
    return bool(capabilities & _CAP_SYS_ADMIN)


def _explained(said: Mapping[str, Sequence[str]]) -> str:
    """Return what dockerd said and in which ways it was started then, and what to do about it."""
    reasons = [f"{', or '.join(ways)}:\n{text}" for text, ways in said.items()]
    hints = [hint for words, hint in _HINTS if re.search(words, "\n".join(said), re.IGNORECASE)]
    return "\n".join(["dockerd does not start on this machine. It said", *reasons, *(hints or [_HINT])])


def _lacks_cgroups() -> bool:
    """Say whether no cgroups are mounted, or none that can be written to."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = [(words[1], words[3].split(",")) for words in mounts if words[2] in ("cgroup", "cgroup2") and words[1].startswith(str(_CGROUPS))]
    return not any("rw" in options and os.access(place, os.W_OK) for place, options in found)


def _groups_to_mount() -> list[str]:
    """Return what each mount of cgroups should have, as `cpu,cpuacct`: those that belong together already, or each alone. Empty for version 2.

    Those with a name and no controller, as `none,name=systemd`, are among them: without, containerd does not tell of containers without memory.
    """
    rows = [line.split() for line in Path("/proc/cgroups").read_text().splitlines() if not line.startswith("#")]
    together: dict[str, list[str]] = {}
    for name, hierarchy, _, enabled in rows:
        if enabled == "1" and hierarchy != "0":
            together.setdefault(hierarchy, []).append(name)
    if together:
        own = [line.split(":")[1] for line in Path("/proc/self/cgroup").read_text().splitlines()]
        return [*(",".join(names) for names in together.values()), *(f"none,{name}" for name in own if name.startswith("name="))]
    if "cgroup2" in Path("/proc/self/mounts").read_text():
        return []
    return [name for name, _, _, enabled in rows if enabled == "1"]


def _last_lines(text: str) -> str:
    """Return the end of what dockerd said, errors first if it marked any."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"level=(error|fatal)|^failed to", line)]
    return "\n".join(line[:600] for line in (errors or lines)[-LINES_KEPT:])


def _started(program: str, folder: Path, way: _Way) -> tuple[subprocess.Popen[Any], str]:
    folder.mkdir()
    socket, log = folder / "docker.sock", folder / "log"
    words = [program, "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid", "-H", f"unix://{socket}"]
    words += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false", "--userland-proxy=false"]
    words += [f"--storage-driver={way.driver}", "--default-ulimit", _files_limit(), "--exec-opt", "native.cgroupdriver=cgroupfs"]
    if way.is_apart:
        words = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _APART, "sh", *words]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, cwd=folder, env={**os.environ, "CGROUPS": " ".join(_groups_to_mount())})
    engine = DockerEngine(f"unix://{socket}")

    def answers() -> bool:
        with suppress(httpx.TransportError), engine.client() as client:
            return socket.exists() and client.get("/_ping", timeout=ANSWER_SECONDS_MAX).text == "OK"
        return False

    try:
        wait_for(answers, process, log)
        _prove(engine)
    except BaseException:
        stop_engine(process, engine.address)
        raise
    return process, engine.address


def _files_limit() -> str:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = FILES_MAX if allowed == resource.RLIM_INFINITY else min(FILES_MAX, allowed)
    return f"nofile={count}:{count}"


def _prove(engine: DockerEngine) -> None:
    """Run a container. Raises `ServiceMissing` with what the engine says when it cannot."""
    try:
        ended = engine.run(engine.busybox_image(), ["true"])
    except (RuntimeError, httpx.HTTPError) as error:
        raise ServiceMissing(f"It runs, but no container does: {error}") from error
    if ended.status:
        raise ServiceMissing(f"It runs, but a container that should do nothing ended with status {ended.status}: {ended.output}")


def stop_engine(process: subprocess.Popen[Any], address: str) -> None:
    """End a Docker engine, with every container and network that it still has."""
    with suppress(httpx.HTTPError), DockerEngine(address).client() as client:
        for container in client.get("/containers/json", params={"all": True}, timeout=ANSWER_SECONDS_MAX).json():
            client.delete(f"/containers/{container['Id']}", params={"force": True}, timeout=ANSWER_SECONDS_MAX)
        client.post("/networks/prune", timeout=ANSWER_SECONDS_MAX)  # their bridges would stay on the machine
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS_MAX)
    folder = str(Path(address.removeprefix("unix://")).parent)
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed([place for place in mounted if place.startswith(f"{folder}/")]):  # else the folder cannot be removed
        subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
