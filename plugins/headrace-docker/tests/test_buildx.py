"""Building with buildx, whose part a plugin of Docker's command line has here: it notes what it was told and hands it to the engine's own BuildKit.

(Debian has no buildx for its engine; but Docker's command line before 23 speaks to BuildKit by itself, and understands the same words.)
"""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest
from docker.errors import BuildError

from headrace.docker import DockerImage
from headrace.exceptions import HeadraceException
from headrace.testing.containers import DockerEngine
from headrace_docker.deployments import steps
from headrace_docker.deployments.steps import build_docker_image

BUILDX = f"""\
#!{sys.executable}
import json, os, re, subprocess, sys
from pathlib import Path

words = sys.argv[1:]
if words == ["docker-cli-plugin-metadata"]:
    print(json.dumps({{"SchemaVersion": "0.1.0", "Vendor": "tests", "Version": "v0.0.1", "ShortDescription": "buildx of tests"}}))
elif words == ["buildx", "version"]:
    print("github.com/docker/buildx v0.0.1")
else:
    Path(os.environ["DOCKER_CONFIG"], "told.json").write_text(json.dumps(words))
    for folder in ["/usr/bin", *os.environ["PATH"].split(":")]:
        docker = Path(folder, "docker")
        said = subprocess.run([docker, "--version"], capture_output=True, text=True).stdout if docker.exists() else ""
        if (version := re.search("version ([0-9]+)", said)) and int(version[1]) < 23:
            break
    else:
        sys.exit("There is no `docker` here that speaks to BuildKit by itself: apt-get install docker.io of Debian 12.")
    rest = [word for word in words[1:] if word not in ("--load", "--push")]
    ended = subprocess.run([docker, *rest], env={{**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}}).returncode
    for at, word in enumerate(words):
        if word == "--tag" and "--push" in words and ended == 0:
            ended = subprocess.run([docker, "push", words[at + 1]]).returncode
    sys.exit(ended)
"""


@pytest.fixture
def buildx(engine: DockerEngine) -> Path:
    """Docker's configuration folder, with a plugin `buildx`; what it was told last stands in `told.json`."""
    folder = Path(os.environ["DOCKER_CONFIG"])
    (folder / "cli-plugins").mkdir(parents=True)
    (folder / "cli-plugins" / "docker-buildx").write_text(dedent(BUILDX))
    (folder / "cli-plugins" / "docker-buildx").chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def dockerfile(busybox: str) -> Path:
    steps._results.clear()
    path = Path("Dockerfile")
    path.write_text(f"FROM {busybox}\nCOPY word /word\nRUN echo building; test -s /word\n")
    Path("word").write_text("built")
    return path


def build(name: str, **options: Any) -> Any:
    """Build with buildx, as a step does, for an engine without a network of its own."""
    return build_docker_image(name, build_backend="buildx", network="none", **options)


def test_an_image_is_built_with_all_its_tags_and_options(
    buildx: Path, dockerfile: Path, engine: DockerEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret-word-1")
    dockerfile.write_text(dockerfile.read_text() + "RUN --mount=type=secret,id=token rev /run/secrets/token > /seen\nARG COLOUR\nENV SHOWN=$COLOUR\n")
    built = build("team/whale", tag="one", additional_tags=["two"], secrets="id=token,env=TOKEN", build_args={"COLOUR": "blue"})
    assert built["image"] == "team/whale:one"
    assert built["image_id"].startswith("sha256:")
    assert engine.run("team/whale:two", ["sh", "-c", "cat /word /seen; echo; echo $SHOWN"]).output == "built1-drow-terces\nblue\n"
    said = capsys.readouterr().out
    assert "building" in said
    assert "secret-word-1" not in said
    told = json.loads((buildx / "told.json").read_text())
    assert told[:2] == ["buildx", "build"]
    assert {"--secret", "id=token,env=TOKEN", "--load"} <= set(told)


def test_what_is_pushed_is_not_loaded(buildx: Path, docker_registry: str) -> None:
    build(f"{docker_registry}/team/far", tag="one", push=True)
    told = json.loads((buildx / "told.json").read_text())
    assert "--push" in told and "--load" not in told
    assert httpx.get(f"http://{docker_registry}/v2/team/far/tags/list").json()["tags"] == ["one"]


def test_what_is_for_several_platforms_is_not_loaded(buildx: Path) -> None:
    with pytest.raises(BuildError, match="linux/amd64,linux/arm64"):  # that is nothing for the BuildKit in an engine
        build("team/wide", platforms=["linux/amd64", "linux/arm64"])
    told = json.loads((buildx / "told.json").read_text())
    assert "linux/amd64,linux/arm64" in told and "--load" not in told


def test_an_image_of_a_deployment_is_built_with_buildx(buildx: Path, engine: DockerEngine) -> None:
    progress = StringIO()
    options: Any = {"stream_progress_to": progress, "network": "none"}
    image = DockerImage("team/deployed-whale:1", dockerfile="Dockerfile", build_backend="buildx", **options)
    image.build()
    assert engine.run(image.reference, ["cat", "/word"]).output == "built"
    assert "building" in progress.getvalue()


def test_a_build_that_fails_says_what_it_said(buildx: Path, dockerfile: Path) -> None:
    dockerfile.write_text(dockerfile.read_text() + "RUN echo then >&2 && exit 7\n")
    with pytest.raises(BuildError, match=r"(?s)ended with status 1.*then && exit 7|exit code: 7"):
        build("team/x")
    with pytest.raises(FileNotFoundError, match=r"no Dockerfile .*missing"):
        build("team/x", dockerfile="missing")


def test_without_buildx_it_is_said_what_to_install(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = Path(os.environ["DOCKER_CONFIG"]) / "cli-plugins"
    config.mkdir(parents=True)
    (config / "docker-buildx").write_text("#!/bin/sh\nexit 1\n")  # it wins over one of the machine's own
    (config / "docker-buildx").chmod(0o755)
    with pytest.raises(RuntimeError, match="docker-buildx-plugin"):
        build_docker_image("team/x", build_backend="buildx")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="needs the program `docker`"):
        build_docker_image("team/x", build_backend="buildx")
    with pytest.raises(HeadraceException, match="needs the program `docker`"):
        DockerImage("team/x", dockerfile="Dockerfile", build_backend="buildx").build()
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "python_on_whales", raising=False)
    with pytest.raises(ImportError, match=r"headrace-docker\[buildx\]"):
        build_docker_image("team/x", build_backend="buildx")
