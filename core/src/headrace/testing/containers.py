"""A Docker engine and registries for tests, and images made from what this machine has: nothing is pulled.

The engine runs apart from any other: it has its own folder and socket, and touches neither bridges nor the firewall. Containers reach services
of the machine with `network_mode="host"`; published ports and the default network are not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import httpx

from headrace.testing.starting import ServiceMissing, free_port, is_open, wait_for

REGISTRY_USER, REGISTRY_PASSWORD = "tester", "registry-password"
"""Whom the private registry lets in."""

BUSYBOX = "headrace-test/busybox:1"
PYTHON = "headrace-test/python:1"

_LONG_SECONDS = 120.0
_REGISTRY_MISSING = "These tests need a Docker registry: apt-get install docker-registry."
_BUSYBOX_MISSING = "These tests make images from busybox, linked statically: apt-get install busybox-static."
# The password above, as docker-registry wants it.
_HTPASSWD = "tester:$2b$05$abcdefghijklmnopqrstuux7DVfxfgfXTmp/9Tsk6HzX2QQGjxePG\n"
_REGISTRY_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_REGISTRY_AUTH = """\
auth:
  htpasswd: {{realm: tests, path: {data}/htpasswd}}
"""


@dataclass(frozen=True, slots=True)
class PythonImage:
    """An image in which this interpreter runs, with all that it can import here.

    `volumes` must be given to its containers (`"/usr:/usr:ro"`, …): the interpreter and its packages are this machine's own files.
    """

    reference: str
    volumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a container left: its exit status, and what it wrote to both streams."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A running Docker engine. `address` is what clients are given: `unix:///…/docker.sock`."""

    address: str

    def busybox_image(self) -> str:
        """Return an image with a shell and the usual small programs, and nothing else (2 MB)."""
        if not self._has(BUSYBOX):
            self.import_image(BUSYBOX, _busybox_files(), ["CMD sh"])
        return BUSYBOX

    def python_image(self) -> PythonImage:
        """Return an image in which `python` and `headrace` are those of this process, editable installs included, without copying them."""
        if not self._has(PYTHON):
            self.import_image(PYTHON, _busybox_files(), [f"ENV PATH={sys.prefix}/bin:/bin:/usr/bin", "ENV HOME=/root", "CMD sh"])
        return PythonImage(PYTHON, tuple(f"{folder}:{folder}:ro" for folder in _python_folders()))

    def import_image(self, reference: str, files: IO[bytes], changes: Sequence[str] = ()) -> None:
        """Make an image of one layer from a tar archive. `changes`: lines of a Dockerfile such as `ENV A=b`."""
        repository, _, tag = reference.rpartition(":")
        query = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": list(changes)}
        with self.client() as client:
            answer = client.post("/images/create", params=query, content=iter(lambda: files.read(1 << 20), b""))
        if answer.is_error or '"error"' in answer.text:
            raise RuntimeError(f"The engine did not import {reference}: {answer.text}")

    def run(self, image: str, command: Sequence[str], volumes: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Ended:
        """Run a command in a container on the machine's network, to its end, and remove the container."""
        host = {"NetworkMode": "host", "Binds": list(volumes)}
        body = {"Image": image, "Cmd": list(command), "Env": [f"{name}={value}" for name, value in (env or {}).items()], "HostConfig": host}
        with self.client() as client:
            made = client.post("/containers/create", json=body)
            if made.is_error:
                raise RuntimeError(f"The engine made no container of {image}: {made.text}")
            container = f"/containers/{made.json()['Id']}"
            try:
                started = client.post(f"{container}/start")
                if started.is_error:
                    raise RuntimeError(f"The engine did not start the container of {image}: {started.text}")
                status = client.post(f"{container}/wait").json()["StatusCode"]
                logged = client.get(f"{container}/logs", params={"stdout": True, "stderr": True}).content
            finally:
                client.delete(container, params={"force": True})
        return Ended(status, _text(logged))

    def client(self) -> httpx.Client:
        """Return a client of the engine's HTTP interface, for what needs no SDK: `engine.client().get("/containers/json")`."""
        transport = httpx.HTTPTransport(uds=self.address.removeprefix("unix://"))
        return httpx.Client(transport=transport, base_url="http://docker", timeout=_LONG_SECONDS)

    def _has(self, reference: str) -> bool:
        with self.client() as client:
            return client.get(f"/images/{reference}/json").status_code == 200


def _text(logged: bytes) -> str:
    """Return the text of a container's log: each piece of it has a head of eight bytes, the last four its length (Engine API, "Attach")."""
    pieces: list[bytes] = []
    while logged:
        end = 8 + int.from_bytes(logged[4:8], "big")
        pieces.append(logged[8:end])
        logged = logged[end:]
    return b"".join(pieces).decode(errors="replace")


# --- images


def busybox_program() -> str:
    """Return the path of a busybox that needs no libraries. Raises `ServiceMissing`."""
    program = shutil.which("busybox")
    if program is None or b"/ld-linux" in Path(program).read_bytes():
        raise ServiceMissing(_BUSYBOX_MISSING)
    return str(Path(program).resolve())


def _busybox_files() -> IO[bytes]:
    """Return a tar archive with busybox and a link for each of its programs."""
    program = busybox_program()
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755), ("var/tmp", 0o1777)):
            archive.addfile(_entry(folder, tarfile.DIRTYPE, mode))
        archive.add(program, "bin/busybox", filter=_of_root)
        for name in names:
            if name != "busybox":
                link = _entry(f"bin/{name}", tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                archive.addfile(link)
        for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("etc/group", "root:x:0:\n")):
            entry = _entry(name, tarfile.REGTYPE, 0o644)
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text.encode()))
    packed.seek(0)
    return packed


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755
    return entry


def _python_folders() -> list[str]:
    """Return the folders of this machine that the interpreter needs, none within another."""
    wanted: Iterable[str] = ("/usr", "/lib", "/lib64", sys.prefix, sys.base_prefix, *sys.path)
    found = sorted({os.path.abspath(folder) for folder in wanted if folder and Path(folder).is_dir()})
    return [folder for folder in found if not any(folder.startswith(f"{other}/") for other in found)]


# --- registries


def start_registry(data: Path) -> tuple[subprocess.Popen[Any], str]:
    """Start a registry that asks nobody for a password. Raises `ServiceMissing`."""
    return _start_registry(data, "")


def start_private_registry(data: Path) -> tuple[subprocess.Popen[Any], str]:
    """Start a registry that lets in `REGISTRY_USER` with `REGISTRY_PASSWORD` alone. Raises `ServiceMissing`."""
    (data / "htpasswd").write_text(_HTPASSWD)
    return _start_registry(data, _REGISTRY_AUTH)


def _start_registry(data: Path, more: str) -> tuple[subprocess.Popen[Any], str]:
    program = shutil.which("docker-registry")
    if program is None:
        raise ServiceMissing(_REGISTRY_MISSING)
    port, log, config = free_port(), data / "log", data / "config.yml"
    config.write_text((_REGISTRY_CONFIG + more).format(data=data, port=port))
    with log.open("wb") as out:
        process = subprocess.Popen([program, "serve", str(config)], stdout=out, stderr=out, cwd=data)
    wait_for(lambda: is_open(port), process, log)
    return process, f"127.0.0.1:{port}"
