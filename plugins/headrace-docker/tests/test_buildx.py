"""Building with buildx: Docker's own command line asks a plugin of the tests, which says what it was told and builds with the engine."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path
from textwrap import dedent

import pytest
from docker.errors import BuildError

from headrace.docker import DockerImage
from headrace.exceptions import HeadraceException
from headrace.testing.containers import DockerEngine
from headrace_docker.deployments import steps
from headrace_docker.deployments.steps import build_docker_image

BUILDX = f"""\
#!{sys.executable}
import json, os, sys
from pathlib import Path

words = sys.argv[1:]
if words == ["docker-cli-plugin-metadata"]:
    print(json.dumps({{"SchemaVersion": "0.1.0", "Vendor": "tests", "Version": "v0.0.1", "ShortDescription": "buildx of tests"}}))
elif words == ["buildx", "version"]:
    print("github.com/docker/buildx v0.0.1")
else:
    Path(os.environ["DOCKER_CONFIG"], "told.json").write_text(json.dumps(words))
    import docker

    tags = [words[at + 1] for at, word in enumerate(words) if word == "--tag"]
    client = docker.from_env()
    if "--load" in words:
        for piece in client.api.build(path=words[-1], dockerfile=words[words.index("--file") + 1], tag=tags[0], decode=True):
            print(piece.get("stream", piece.get("error", "")), end="", file=sys.stderr)
            if "error" in piece:
                sys.exit(1)
        for tag in tags[1:]:
            client.images.get(tags[0]).tag(tag)
    else:
        print("pushing elsewhere", file=sys.stderr)
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


def test_an_image_is_built_with_all_its_tags_and_options(buildx: Path, engine: DockerEngine, capsys: pytest.CaptureFixture[str]) -> None:
    built = build_docker_image("team/whale", tag="one", additional_tags=["two"], build_backend="buildx", secrets="id=token,env=TOKEN", ssh="default")
    assert built["image"] == "team/whale:one"
    assert built["image_id"].startswith("sha256:")
    assert engine.run("team/whale:two", ["cat", "/word"]).output == "built"
    assert "building" in capsys.readouterr().out
    told = json.loads((buildx / "told.json").read_text())
    assert told[:2] == ["buildx", "build"]
    assert {"--secret", "id=token,env=TOKEN", "--ssh", "default", "--load"} <= set(told)


def test_what_is_pushed_or_for_several_platforms_is_not_loaded(buildx: Path) -> None:
    built = build_docker_image("team/far", tag="one", build_backend="buildx", push=True, platforms=["linux/amd64", "linux/arm64"])
    assert built["image_id"] == ""
    told = json.loads((buildx / "told.json").read_text())
    assert "--push" in told and "--load" not in told
    assert "linux/amd64,linux/arm64" in told


def test_an_image_of_a_deployment_is_built_with_buildx(buildx: Path, engine: DockerEngine) -> None:
    progress = StringIO()
    image = DockerImage("team/deployed-whale:1", dockerfile="Dockerfile", build_backend="buildx", stream_progress_to=progress)
    image.build()
    assert engine.run(image.reference, ["cat", "/word"]).output == "built"
    assert "building" in progress.getvalue()


def test_a_build_that_fails_says_what_it_said(buildx: Path, dockerfile: Path) -> None:
    dockerfile.write_text(dockerfile.read_text() + "RUN echo then >&2 && exit 7\n")
    with pytest.raises(BuildError, match=r"(?s)ended with status 1.*non-zero code: 7"):
        build_docker_image("team/x", build_backend="buildx")
    with pytest.raises(FileNotFoundError, match=r"no Dockerfile .*missing"):
        build_docker_image("team/x", dockerfile="missing", build_backend="buildx")


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
