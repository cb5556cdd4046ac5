"""Building and pushing images, as steps of project files and for `flow.deploy`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker.errors import BuildError

from headrace.deployments.steps import run_steps
from headrace.docker import DockerImage
from headrace.testing.containers import REGISTRY_PASSWORD, REGISTRY_USER, DockerEngine
from headrace_docker import DockerHost, DockerRegistryCredentials
from headrace_docker.deployments import steps
from headrace_docker.deployments.steps import build_docker_image, push_docker_image


@pytest.fixture(autouse=True)
def nothing_done_before() -> None:
    steps._results.clear()


@pytest.fixture
def dockerfile(busybox: str) -> Path:
    path = Path("Dockerfile")
    path.write_text(f"FROM {busybox}\nCOPY word /word\nRUN echo building; test -s /word\nCMD cat /word\n")
    Path("word").write_text("built")
    return path


@pytest.fixture
def python_base(busybox: str, tmp_path: Path) -> None:
    """An image under the name of the one that generated Dockerfiles begin with; its `python` says what it was asked for."""
    import sys

    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "python").write_text("#!/bin/sh\necho asked: $@\n")
    (folder / "python").chmod(0o755)
    (folder / "Dockerfile").write_text(f"FROM {busybox}\nCOPY python /bin/python\n")
    with DockerHost().get_client() as client:
        client.images.build(path=str(folder), tag=f"python:{sys.version_info.major}.{sys.version_info.minor}-slim")


def output_of(engine: DockerEngine, image: str) -> str:
    return engine.run(image, ["cat", "/word"]).output


def test_an_image_is_built_with_all_its_tags(dockerfile: Path, engine: DockerEngine, capsys: pytest.CaptureFixture[str]) -> None:
    built = build_docker_image("team/built", tag="one", additional_tags=["two", ""], pull=False)
    assert built == {
        "image_name": "team/built",
        "tag": "one",
        "image": "team/built:one",
        "image_id": built["image_id"],
        "additional_tags": ["two", ""],
    }
    assert output_of(engine, "team/built:two") == "built"
    assert output_of(engine, built["image_id"]) == "built"
    assert "building" in capsys.readouterr().out


def test_the_default_tag_is_the_time(dockerfile: Path) -> None:
    tag = build_docker_image("team/timed", pull=False)["tag"]
    assert tag[:2] == "20" and set(tag) <= set("0123456789-tz")


def test_an_image_is_built_once_for_the_same_inputs(dockerfile: Path) -> None:
    first = build_docker_image("team/once", pull=False)
    Path("word").write_text("changed")
    assert build_docker_image("team/once", pull=False) == first
    assert build_docker_image("team/once", pull=False, ignore_cache=True)["image_id"] != first["image_id"]


def test_a_generated_dockerfile_is_used_kept_where_that_is_wanted_and_gone_after_failures(
    python_base: None, engine: DockerEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("requirements.txt").write_text("acme\n")
    Path("word").write_text("copied")
    built = build_docker_image("team/auto", dockerfile="auto", persist_dockerfile=True, dockerfile_output_path="kept", pull=False)
    said = capsys.readouterr().out
    assert "asked: -m pip install headrace==" in said
    assert "pip install -r /opt/headrace/work/requirements.txt" in said
    assert "COPY" in Path("kept").read_text()
    assert engine.run(built["image"], ["cat", "word"]).output == "copied"
    with pytest.raises(Exception, match="no-such-builder-option"):
        build_docker_image("team/auto", dockerfile="auto", **{"no-such-builder-option": True})
    assert not Path("Dockerfile").exists()


def test_auto_replaces_no_dockerfile(dockerfile: Path) -> None:
    with pytest.raises(FileExistsError, match="which 'auto' would replace"):
        build_docker_image("team/auto", dockerfile="auto")
    assert dockerfile.exists()


def test_what_is_wrong_with_a_build_is_told(dockerfile: Path) -> None:
    with pytest.raises(ValueError, match="no spaces"):
        build_docker_image("team/with space")
    for step in (build_docker_image, push_docker_image):
        with pytest.raises(ValueError, match="Give the tag as `tag`"):
            step("localhost:5000/team/tagged:1")
    with pytest.raises(FileNotFoundError, match=r"no Dockerfile .*missing"):
        build_docker_image("team/x", dockerfile="missing")
    with pytest.raises(ValueError, match="not 'kaniko'"):
        build_docker_image("team/x", build_backend="kaniko")
    dockerfile.write_text(dockerfile.read_text() + "RUN echo then >&2 && exit 7\n")
    with pytest.raises(BuildError, match=r"(?s)non-zero code: 7.*then"):
        build_docker_image("team/x", pull=False)


def pushed(registry: str, name: str, **options: Any) -> set[str]:
    return set(httpx.get(f"http://{registry}/v2/{name}/tags/list", **options).json().get("tags") or ())


def test_steps_of_a_project_build_and_push(dockerfile: Path, private_docker_registry: str) -> None:
    DockerRegistryCredentials(username=REGISTRY_USER, password=REGISTRY_PASSWORD, registry_url=private_docker_registry).save("team")
    place, name = "headrace_docker.deployments.steps", f"{private_docker_registry}/team/steps"
    block = "{{ headrace.blocks.docker-registry-credentials.team }}"
    inputs = {
        "image_name": "{{ built.image_name }}",
        "tag": "{{ built.tag }}",
        "additional_tags": "{{ built.additional_tags }}",
        "credentials": block,
    }
    build = {"id": "built", "requires": "headrace-docker", "image_name": name, "tag": "dev", "additional_tags": ["v1"], "pull": False}
    outputs = run_steps([{f"{place}.build_docker_image": build}, {f"{place}.push_docker_image": {**inputs, "id": "pushed"}}])
    assert outputs["pushed"]["image"] == f"{name}:dev"
    assert pushed(private_docker_registry, "team/steps", auth=(REGISTRY_USER, REGISTRY_PASSWORD)) == {"dev", "v1"}


def test_a_denied_push_says_what_to_do_and_not_the_password(busybox: str, private_docker_registry: str) -> None:
    name = f"{private_docker_registry}/team/denied"
    with DockerHost().get_client() as client:
        client.images.get(busybox).tag(name, tag="1")
    with pytest.raises(OSError, match="Log in to the registry"):
        push_docker_image(name, "1")
    wrong = {"username": REGISTRY_USER, "password": "wrong-word-1", "registry_url": private_docker_registry}
    with pytest.raises(OSError, match="was not pushed") as refused:
        push_docker_image(name, "1", credentials=wrong)
    assert "wrong-word-1" not in str(refused.value)
    with pytest.raises(ValueError, match="have no password"):
        push_docker_image(name, "1", credentials={**wrong, "password": ""})


def test_a_push_of_what_is_not_there_fails(engine: DockerEngine, docker_registry: str) -> None:
    with pytest.raises(OSError, match="does not exist"):
        push_docker_image(f"{docker_registry}/team/never-built", "1")


def test_images_of_deployments_are_built_and_pushed(dockerfile: Path, docker_registry: str, engine: DockerEngine) -> None:
    told = StringIO()
    image = DockerImage(f"{docker_registry}/team/deployed:1", dockerfile="Dockerfile", stream_progress_to=told, pull=False)
    image.build()
    image.push()
    assert output_of(engine, image.reference) == "built"
    assert pushed(docker_registry, "team/deployed") == {"1"}
    assert "building" in told.getvalue()
    assert "Pushed" in told.getvalue()
