"""The services that tests stand on: shared while somebody uses them, gone afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.testing.services import shared_service
from headrace.testing.starting import ServiceMissing
from testing.sharing import assert_is_shared

pytestmark = pytest.mark.services


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_processes_share_a_service_until_the_last_one_dies(kind: str, tmp_path: Path) -> None:
    assert_is_shared(kind, tmp_path)


def test_redis_answers(redis_server: str) -> None:
    with socket.create_connection(("127.0.0.1", int(redis_server.rpartition(":")[2])), timeout=10) as raw:
        raw.sendall(b"PING\r\n")
        assert raw.recv(100) == b"+PONG\r\n"


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for kind, package in (("docker", "docker.io"), ("registry", "docker-registry"), ("redis", "redis-server")):
        with pytest.raises(ServiceMissing, match=f"apt-get install {package}"):
            with shared_service(kind, tmp_path / kind):
                pass


def test_an_engine_that_does_not_start_says_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dockerd", "busybox"):
        (tmp_path / name).write_text("#!/bin/sh\necho no cgroups here >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(ServiceMissing, match=r"(?s)dockerd does not start.*overlay2, or with.*vfs.*:\nno cgroups here\nCgroups are not mounted"):
        with shared_service("docker", tmp_path / "docker"):
            pass


def test_where_the_kernel_lets_nobody_run_containers_their_tests_are_skipped(tmp_path: Path) -> None:
    script = "from headrace.testing.services import docker_engine\ndef test(docker_engine): raise AssertionError(docker_engine)\n"
    (tmp_path / "test_containers.py").write_text(script)
    without = ["setpriv", "--bounding-set=-sys_admin"] if os.geteuid() == 0 else []
    command = [*without, sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "CAP_SYS_ADMIN" in done.stdout
