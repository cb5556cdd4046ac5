"""Blocks and tasks, on a real engine and real registries."""

from __future__ import annotations

import asyncio
import runpy
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from headrace import flow
from headrace.settings import temporary_settings
from headrace.testing.containers import REGISTRY_PASSWORD, REGISTRY_USER, DockerEngine
from headrace_docker import DockerHost, DockerRegistryCredentials
from headrace_docker.building import push_image, tag_image
from headrace_docker.containers import (
    acreate_docker_container,
    aget_docker_container_logs,
    aremove_docker_container,
    astart_docker_container,
    astop_docker_container,
    create_docker_container,
    get_docker_container_logs,
    remove_docker_container,
    start_docker_container,
    stop_docker_container,
)
from headrace_docker.images import apull_docker_image, pull_docker_image


def credentials(registry: str, password: str = REGISTRY_PASSWORD) -> DockerRegistryCredentials:
    return DockerRegistryCredentials(username=REGISTRY_USER, password=password, registry_url=registry)


@pytest.fixture
def private_image(busybox: str, private_docker_registry: str) -> str:
    """An image that stands in the private registry alone."""
    name = f"{private_docker_registry}/team/private:1"
    with DockerHost().get_client() as client:
        client.images.get(busybox).tag(name)
        push_image(name, credentials(private_docker_registry).auth_config(), None)
        client.images.remove(name)
    return name


def test_a_host_is_the_one_it_names_or_that_of_the_environment(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    with DockerHost().get_client() as client:
        assert client.ping()
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with DockerHost(base_url=engine.address, timeout=5, max_pool_size=2, client_kwargs={"user_agent": "me"}).get_client() as client:
        assert client.ping()
        assert client.api.timeout == 5
        assert client.api.headers["User-Agent"] == "me"
    with pytest.raises(DockerException, match=r"No Docker engine answers at unix:///nowhere.sock\. Start it, or say where one is"):
        DockerHost().get_client()


def test_a_host_is_the_one_of_the_docker_context_in_use(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    for words in (["create", "mine", "--docker", f"host={engine.address}"], ["use", "mine"]):
        subprocess.run(["docker", "context", *words], check=True, capture_output=True)
    with DockerHost().get_client() as client:
        assert client.ping()


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_what_hangs_is_given_up(engine: DockerEngine, busybox: str, hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DockerException, match="No Docker engine answers at tcp://"):
        DockerHost(base_url=f"tcp://{hanging}", timeout=1).get_client()
    with pytest.raises(TimeoutError, match=r"said nothing for too long while it pulled .*/team/any:1.*DOCKER_CLIENT_TIMEOUT"):
        pull_docker_image.fn(f"{hanging}/team/any:1", docker_host=DockerHost(timeout=1))
    monkeypatch.setenv("DOCKER_CLIENT_TIMEOUT", "1")
    with DockerHost().get_client() as client:
        client.images.get(busybox).tag(f"{hanging}/team/any", tag="1")
    with pytest.raises(TimeoutError, match="while it pushed"):
        push_image(f"{hanging}/team/any:1", None, None)
    monkeypatch.setenv("DOCKER_CLIENT_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="number of seconds, not 'soon'"):
        DockerHost().get_client()


def test_a_container_goes_from_its_making_to_its_removal(busybox: str) -> None:
    @flow
    def life() -> list[Any]:
        made = create_docker_container(busybox, command=["sh", "-c", "echo $WORD; sleep 60"], environment={"WORD": "said"}, network_mode="none")
        start_docker_container(made.id)
        while "said" not in get_docker_container_logs(made.name):
            pass
        stopped = stop_docker_container(made.id[:12], timeout=0)
        stopped.wait()
        stopped.reload()
        logs = get_docker_container_logs(made.id, tail=1, stream=True)
        remove_docker_container(made.id)
        return [made.id, stopped.status, logs]

    key, status, logs = life()
    assert (status, logs) == ("exited", "said\n")
    with DockerHost().get_client() as client, pytest.raises(NotFound):
        client.containers.get(key)


def test_containers_are_not_kept_as_results(busybox: str, caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def life() -> str:
        made = create_docker_container(busybox, command="true", network_mode="none")
        return remove_docker_container(made.id).id

    with temporary_settings({"HEADRACE_RESULTS_PERSIST_BY_DEFAULT": "true"}):
        assert life()
    assert "could not be serialized" not in caplog.text


def test_async_flows_await_the_twins(busybox: str) -> None:
    @flow
    async def life() -> tuple[str, str]:
        made = await acreate_docker_container(busybox, command="echo said", network_mode="none")
        await astart_docker_container(made.id)
        while "said" not in (logs := await aget_docker_container_logs(made.id)):
            pass
        await astop_docker_container(made.id, timeout=0)
        return (await aremove_docker_container(made.id)).id, logs

    key, logs = asyncio.run(life())
    assert logs == "said\n"
    with DockerHost().get_client() as client, pytest.raises(NotFound):
        client.containers.get(key)


def test_missing_things_are_said_to_be_missing(engine: DockerEngine) -> None:
    with pytest.raises(ImageNotFound):
        create_docker_container.fn("nowhere/at-all:1")
    with pytest.raises(NotFound):
        start_docker_container("no-such-container")


def test_a_public_image_is_pulled_by_tag_and_in_all(busybox: str, docker_registry: str) -> None:
    name = f"{docker_registry}/team/pulled"
    with DockerHost().get_client() as client:
        client.images.get(busybox).tag(name, tag="one")
    tag_image(f"{name}:one", ["two"])
    for tag in ("one", "two"):
        push_image(f"{name}:{tag}", None, None)
        with DockerHost().get_client() as client:
            client.images.remove(f"{name}:{tag}")
    assert f"{name}:one" in pull_docker_image(name, tag="one").tags
    assert {tag for image in pull_docker_image(name, all_tags=True) for tag in image.tags} >= {f"{name}:one", f"{name}:two"}
    with pytest.raises(APIError, match="not found"):
        pull_docker_image(name, tag="three")
    with pytest.raises(APIError, match="not found"):
        asyncio.run(apull_docker_image(name, tag="three"))


def test_a_private_image_is_pulled_with_credentials_alone_and_nobody_stays_logged_in(private_image: str, private_docker_registry: str) -> None:
    repository, tag = private_image.rsplit(":", 1)
    with pytest.raises(APIError):
        pull_docker_image(repository, tag)
    assert private_image in pull_docker_image(repository, tag, docker_registry_credentials=credentials(private_docker_registry)).tags
    with DockerHost().get_client() as client:
        client.images.remove(private_image)
    with pytest.raises(APIError):
        pull_docker_image(repository, tag)


def test_a_client_that_logs_in_may_pull(private_image: str, private_docker_registry: str) -> None:
    with DockerHost().get_client() as client:
        with pytest.raises(APIError) as refused:
            credentials(private_docker_registry, "wrong-word-1").login(client)
        assert "wrong-word-1" not in str(refused.value)
        credentials(private_docker_registry).login(client)
        assert client.images.pull(private_image).tags


def test_the_example_of_the_readme_runs(busybox: str, engine: DockerEngine) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    [example] = [part.split("```")[0] for part in readme.split("```python\n") if "def ask" in part.split("```")[0]]
    Path("example.py").write_text(example)
    assert runpy.run_path("example.py")["ask"](image=busybox, engine=engine.address) == "hello\n"
