"""Images as an operator builds them, without pulling any: a base made by debootstrap, and ours on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.testing.containers import DockerEngine

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "core" / "docs" / "operations"
BASE = "headrace-test/debian-python:1"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

Docker = Callable[..., str]


@pytest.fixture(scope="session")
def docker(docker_engine: DockerEngine) -> Docker:
    """Run `docker` or, as `program`, another command with the engine of the tests; return what it wrote."""

    def run(*words: str, program: str = "docker", **variables: str) -> str:
        env = {**os.environ, "DOCKER_HOST": docker_engine.address, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0", **variables}
        done = subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, timeout=900, check=False)
        assert done.returncode == 0, f"{program} {' '.join(words)}:\n{done.stdout[-4000:]}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def base_image(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a Debian image with Python, made with the archive and the certificates that this machine uses. Its archive is kept between sessions."""
    kept = Path(os.environ.get("IMAGE_CACHE") or tmp_path_factory.mktemp("base")) / "debian-python.tar"
    if not kept.exists():
        folder = kept.with_suffix(".root")
        shutil.rmtree(folder, ignore_errors=True)
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", str(folder), _mirror()], check=True, capture_output=True, timeout=900
        )
        (folder / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        if CERTIFICATES.is_file():
            shutil.copy(CERTIFICATES, folder / CERTIFICATES.relative_to("/"))
        unfinished = kept.with_suffix(".new")
        with tarfile.open(unfinished, "w") as archive:
            archive.add(folder, ".")
        unfinished.rename(kept)
        shutil.rmtree(folder)
    with kept.open("rb") as files:
        docker_engine.import_image(BASE, files)
    return BASE


def _mirror() -> str:
    """Return the archive that this machine installs Debian's packages from."""
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("debian.*")]
    text = "\n".join(path.read_text() for path in lists if path.is_file())
    found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?) *(\S*/debian/?)(?: |$)", text, re.MULTILINE)
    assert found, "This machine's /etc/apt/sources.list names no archive of Debian's packages to make the base image from."
    return found[1]


@pytest.fixture(scope="session")
def image(docker: Docker, base_image: str) -> str:
    """Return the image that the Dockerfile makes."""
    docker(
        "build", "--network", "host", "--build-arg", f"BASE={base_image}", "-t", "headrace", "-f", str(OPERATIONS / "Dockerfile"), str(ROOT / "core")
    )
    return "headrace"
