"""What the Docker worker makes of a job's variables, seen from within containers and from the engine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headrace import flow
from headrace.client.orchestration import get_client
from headrace.events import Event
from headrace.events.filters import EventFilter, EventNameFilter, EventOrder
from headrace.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from headrace.testing.containers import REGISTRY_PASSWORD, REGISTRY_USER, DockerEngine
from headrace.workers.remote import JobStatus
from headrace_docker import DockerHost, DockerRegistryCredentials, DockerWorker
from headrace_docker.building import push_image
from headrace_docker.output import lines_after, since
from headrace_docker.pulling import policy_for
from headrace_docker.types import assert_volume_str
from headrace_docker.worker import TOKEN_LABEL, DockerWorkerJobConfiguration, DockerWorkerResult

API = {"HEADRACE_API_URL": "http://api.example.com/api"}


@flow
def contained() -> None: ...


@dataclass
class Seen:
    """What a run's container was and wrote."""

    result: DockerWorkerResult
    attrs: dict[str, Any]
    lines: list[str] = field(default_factory=list)


@pytest.fixture
def run_job(busybox: str) -> Callable[..., Seen]:
    """Run a script in a container as the worker does, with these job variables."""

    async def work(variables: dict[str, Any]) -> Seen:
        async with get_client() as client, DockerWorker(work_pool_name="pool") as worker:
            seen = Seen(DockerWorkerResult(identifier="", status_code=0), {})
            worker.show_line = seen.lines.append
            run = await client.create_flow_run(contained, name=variables.pop("run_name", "contained"))
            job = await configuration(variables, run)
            polled = worker.poll_job

            def poll_job(identifier: str, one: Any) -> JobStatus:
                with DockerHost().get_client() as docker:
                    seen.attrs.update(docker.containers.get(identifier.rpartition(":")[2]).attrs)
                return polled(identifier, one)

            worker.poll_job = poll_job
            seen.result = await worker.run(run, job)
            return seen

    def run(script: str, **variables: Any) -> Seen:
        given = {"image": busybox, "image_pull_policy": "Never", "network_mode": "none", "env": API, "command": f'sh -c "{script}"'}
        return asyncio.run(asyncio.wait_for(work({**given, **variables}), 60))

    return run


async def configuration(variables: dict[str, Any], run: Any) -> DockerWorkerJobConfiguration:
    template = DockerWorker.get_default_base_job_template()
    job: DockerWorkerJobConfiguration = await DockerWorkerJobConfiguration.from_template_and_values(template, variables)
    job.prepare_for_flow_run(run)
    return job


def prepared(**variables: Any) -> DockerWorkerJobConfiguration:
    async def work() -> DockerWorkerJobConfiguration:
        async with get_client() as client:
            return await configuration(variables, await client.create_flow_run(contained, name="Odd Name: 1/2"))

    return asyncio.run(work())


# --- what is in the container


def test_a_container_has_its_volumes_labels_name_and_limits(run_job: Callable[..., Seen], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "word").write_text("mounted")
    seen = run_job(
        "cat /data/word; touch /data/new",
        run_name="Odd Name: 1/2",
        volumes=[f"{tmp_path}:/data:ro"],
        mem_limit="64m",
        memswap_limit="-1",
        labels={"team": "blue", "Acme.Com/Cost Center": "7"},
        container_create_kwargs={"working_dir": "/tmp", "shm_size": "8m", "image": "not:this"},
    )
    assert "image in `container_create_kwargs` is left out" in caplog.text
    assert sorted(seen.lines) == ["mounted", "touch: /data/new: Read-only file system"]
    assert seen.result.status_code == 1
    assert seen.attrs["Name"] == "/odd-name-1-2"
    host, config = seen.attrs["HostConfig"], seen.attrs["Config"]
    assert (host["Memory"], host["MemorySwap"], host["ShmSize"]) == (64 << 20, -1, 8 << 20)
    assert config["WorkingDir"] == "/tmp"
    assert {"team": "blue", "acme.com/Cost-Center": "7"}.items() <= config["Labels"].items()
    assert config["Labels"]["prefect.io/flow-run-name"] == "Odd Name: 1/2"


def test_a_name_that_is_taken_gets_a_number(run_job: Callable[..., Seen]) -> None:
    names = [run_job("true", name="taken").attrs["Name"] for _ in range(3)]
    assert names == ["/taken", "/taken-1", "/taken-2"]


def test_a_container_that_needs_too_much_memory_says_so(run_job: Callable[..., Seen], caplog: pytest.LogCaptureFixture) -> None:
    seen = run_job("head -c 64m /dev/zero | tail", mem_limit="8m", memswap_limit="8m")
    assert seen.result.status_code == 137
    assert re.search("(needed|needs) more memory than it (was|is) given", caplog.text)  # sure, or likely: engines miss some


def test_output_is_shown_line_by_line_each_once(run_job: Callable[..., Seen]) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; echo same; sleep 0.15; done"
    seen = run_job(script)
    assert seen.lines == [line for number in range(1, 10) for line in (f"line {number}", "same")]
    assert run_job("echo hidden", stream_output=False).lines == []


def test_long_lines_and_a_last_one_without_an_end_are_shown_whole(run_job: Callable[..., Seen]) -> None:
    seen = run_job("head -c 40000 /dev/zero | tr '\\0' x; echo; echo next; sleep 1.2; printf last")
    assert seen.lines == [40_000 * "x", "next", "last"]
    seen = run_job("echo one; sleep 1.2; echo two; printf last", container_create_kwargs={"tty": True})
    assert seen.lines == ["one", "two", "last"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_lines_are_read_once_though_their_times_are_out_of_order(size: int) -> None:
    times = [0.1, 0.3, 0.2, 1.5, 1.4, 1.4, 3.9, 4.0, 3.95, 9.0]
    log = [f"2026-01-01T00:00:{time:012.9f}Z line {number}\n".encode() for number, time in enumerate(times)]
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    found: list[str] = []
    after: str | None = None
    for end in [*range(size, len(log), size), len(log)]:
        begin = since(after) or 0
        page = lines_after([log[at] for at in range(end) if first + times[at] >= begin], after, is_terminal=False, is_over=False)
        found, after = [*found, *page.lines], page.after
    assert found == [f"line {number}" for number in range(len(times))]


def test_a_container_is_removed_where_that_is_wanted_and_its_status_is_kept(run_job: Callable[..., Seen]) -> None:
    kept, removed = run_job("exit 4"), run_job("exit 5", auto_remove=True)
    assert (kept.result.status_code, removed.result.status_code) == (4, 5)
    with DockerHost().get_client() as docker:
        left = {container.id for container in docker.containers.list(all=True, sparse=True)}
    assert kept.attrs["Id"] in left
    assert removed.attrs["Id"] not in left


def test_a_container_is_connected_to_its_networks(run_job: Callable[..., Seen]) -> None:
    with DockerHost().get_client() as docker:
        for name in ("first", "second"):
            docker.networks.create(name, driver="bridge", internal=True)
    seen = run_job("true", networks=["first", "second"], network_mode=None)
    assert seen.attrs["NetworkSettings"]["Networks"].keys() == {"first", "second"}
    assert run_job("true", networks=["first"]).attrs["HostConfig"]["NetworkMode"] == "none"
    with pytest.raises(RuntimeError, match="network third not found"):
        run_job("true", networks=["first", "third"], network_mode=None)


def test_secrets_come_from_the_workers_environment(run_job: Callable[..., Seen], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_WORKER", "secret-word-1")
    assert run_job("echo $API_KEY", secret_env={"API_KEY": "KEY_OF_WORKER"}).lines == ["secret-word-1"]
    with pytest.raises(RuntimeError, match=r"API_KEY \(from KEY_OF_NOBODY\)"):
        run_job("true", secret_env={"API_KEY": "KEY_OF_NOBODY"})


def test_a_run_without_a_server_is_refused(run_job: Callable[..., Seen]) -> None:
    with pytest.raises(RuntimeError, match="HEADRACE_API_URL"):
        run_job("true", env={})


def test_privileges_are_asked_for_where_they_are_wanted(engine: DockerEngine) -> None:
    """Seen on a container that is not started: an engine can only give what it has itself."""
    with DockerHost().get_client() as docker:
        for wanted in (True, False):
            job = prepared(image=engine.busybox_image(), privileged=wanted, env=API)
            container = docker.containers.create(job.image, **job.container_options(docker))
            assert container.attrs["HostConfig"]["Privileged"] is wanted


# --- the way to the API


@pytest.mark.parametrize(
    ("url", "variables", "mode", "seen_url"),
    [
        ("http://127.0.0.1:4200/api", {}, "host", "http://127.0.0.1:4200/api"),
        ("http://localhost:4200/api", {"network_mode": "bridge"}, "bridge", "http://host.docker.internal:4200/api"),
        ("http://127.0.0.1:4200/api", {"networks": ["one"]}, None, "http://host.docker.internal:4200/api"),
        ("http://localhost.example.com/api", {}, None, "http://localhost.example.com/api"),
        ("https://api.example.com/api", {"networks": ["one"], "network_mode": "host"}, "host", "https://api.example.com/api"),
    ],
)
def test_the_api_is_reached_from_the_container(url: str, variables: dict[str, Any], mode: str | None, seen_url: str) -> None:
    job = prepared(env={"HEADRACE_API_URL": url}, **variables)
    assert (job.get_network_mode(), job.env["HEADRACE_API_URL"]) == (mode, seen_url)


@pytest.mark.parametrize("given", [{"db": "10.0.0.1"}, ["db:10.0.0.1"]])
def test_names_of_hosts_are_merged(given: Any) -> None:
    job = prepared(env={"HEADRACE_API_URL": "http://localhost/api"}, networks=["one"], container_create_kwargs={"extra_hosts": given})
    assert job.get_extra_hosts(None) == {"db": "10.0.0.1", "host.docker.internal": "host-gateway"}  # pyright: ignore[reportArgumentType]


# --- images


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("team/flows", "Always"),
        ("team/flows:latest", "Always"),
        ("localhost:5000/flows", "Always"),
        ("localhost:5000/flows:1", "IfNotPresent"),
        ("flows@sha256:0123", "IfNotPresent"),
    ],
)
def test_the_default_policy_depends_on_the_tag(image: str, policy: str) -> None:
    assert policy_for(image) == policy


@pytest.fixture
def private_image(busybox: str, private_docker_registry: str) -> str:
    """An image that is in the private registry and here."""
    name = f"{private_docker_registry}/team/job:1"
    auth = {"username": REGISTRY_USER, "password": REGISTRY_PASSWORD}
    with DockerHost().get_client() as client:
        client.images.get(busybox).tag(name)
        push_image(name, auth, None)
    return name


def test_a_private_image_is_pulled_with_the_credentials_of_a_block(
    run_job: Callable[..., Seen], private_image: str, private_docker_registry: str
) -> None:
    DockerRegistryCredentials(username=REGISTRY_USER, password=REGISTRY_PASSWORD, registry_url=private_docker_registry).save("team")
    block = "{{ headrace.blocks.docker-registry-credentials.team }}"
    with DockerHost().get_client() as client:
        client.images.remove(private_image)
    with pytest.raises(RuntimeError, match="could not be pulled"):
        run_job("true", image=private_image, image_pull_policy="IfNotPresent")
    assert run_job("echo pulled", image=private_image, image_pull_policy="IfNotPresent", registry_credentials=block).lines == ["pulled"]


def test_each_policy_pulls_when_it_says(run_job: Callable[..., Seen], private_image: str, caplog: pytest.LogCaptureFixture) -> None:
    assert run_job("true", image=private_image, image_pull_policy=None).result  # it is here: nobody is asked
    with pytest.raises(RuntimeError, match=r"could not be pulled \(policy Always\)"):
        run_job("true", image=private_image, image_pull_policy="Always")
    assert run_job("true", image=private_image, image_pull_policy="IfPossible").result
    assert "the local one is used" in caplog.text
    with pytest.raises(RuntimeError, match="no local image of this name either"):
        run_job("true", image=f"{private_image}0", image_pull_policy="IfPossible")
    with pytest.raises(RuntimeError, match="There is no image"):
        run_job("true", image=f"{private_image}0", image_pull_policy="Never")


# --- identifiers


def test_a_container_of_another_engine_is_not_taken_for_one_that_is_gone(engine: DockerEngine) -> None:
    async def kill(identifier: str) -> None:
        async with DockerWorker(work_pool_name="pool") as worker:
            await worker.kill_infrastructure(identifier, DockerWorkerJobConfiguration(), 1)

    container = "0" * 64
    with DockerHost().get_client() as client:
        here = f"http+docker://{client.info()['Name']}"
    for address in (here, "http+docker://localhost"):
        with pytest.raises(InfrastructureNotFound):
            asyncio.run(kill(f"{address}:{container}"))
    for address in ("http+docker://another-machine", "http://10.0.0.9:2375"):
        with pytest.raises(InfrastructureNotAvailable, match="DOCKER_HOST"):
            asyncio.run(kill(f"{address}:{container}"))
    for text in (container, "http://host:", "no address:0123"):
        with pytest.raises(ValueError, match="names no container"):
            asyncio.run(kill(text))


def test_one_submission_waits_for_another_of_the_same_job_and_takes_its_container(engine: DockerEngine, busybox: str) -> None:
    async def work() -> tuple[set[str], int]:
        async with get_client() as client, DockerWorker(work_pool_name="pool") as worker:
            variables = {"image": busybox, "image_pull_policy": "Never", "network_mode": "none", "env": API, "command": "true"}
            job = await configuration(variables, await client.create_flow_run(contained))
            tries = [worker.call(worker.submit_job, job, job.token) for _ in range(3)]
            found = set(await asyncio.gather(*tries))
            with DockerHost().get_client() as docker:
                return found, len(docker.containers.list(all=True, filters={"label": f"{TOKEN_LABEL}={job.token}"}))

    identifiers, count = asyncio.run(work())
    assert (len(identifiers), count) == (1, 1)


def test_a_container_whose_worker_died_before_starting_it_is_started_by_who_looks_for_it(engine: DockerEngine, busybox: str) -> None:
    async def work() -> str | None:
        async with get_client() as client, DockerWorker(work_pool_name="pool") as worker:
            variables = {"image": busybox, "network_mode": "none", "env": API, "command": "echo begun"}
            job = await configuration(variables, await client.create_flow_run(contained))
            assert await worker.call(worker.find_job, job, job.token) is None
            with DockerHost().get_client() as docker:
                docker.containers.create(job.image, **job.container_options(docker))
            return await worker.call(worker.find_job, job, job.token)

    container = str(asyncio.run(work())).rpartition(":")[2]
    with DockerHost().get_client() as docker:
        assert docker.containers.get(container).wait()["StatusCode"] == 0
        assert docker.containers.get(container).logs() == b"begun\n"


def test_a_paused_container_is_stopped_too(engine: DockerEngine, busybox: str) -> None:
    async def kill(identifier: str) -> None:
        async with DockerWorker(work_pool_name="pool") as worker:
            await worker.kill_infrastructure(identifier, DockerWorkerJobConfiguration(), 1)

    with DockerHost().get_client() as docker:
        container = docker.containers.run(busybox, "sleep 600", detach=True, network_mode="none")
        container.pause()
        asyncio.run(kill(f"http+docker://{docker.info()['Name']}:{container.id}"))
        assert docker.containers.get(container.id).status == "exited"


def test_volumes_are_checked() -> None:
    assert assert_volume_str("/a:/b:ro") == "/a:/b:ro"
    with pytest.raises(ValueError, match="Invalid volume string: 'data'"):
        prepared(volumes=["data"])


# --- events


def events_of_containers() -> list[Event]:
    async def read() -> list[Event]:
        async with get_client() as client:
            page = await client.read_events(EventFilter(event=EventNameFilter(prefix=["prefect.docker.container"]), order=EventOrder.ASC))
            return list(page.events)

    return asyncio.run(read())


def test_what_becomes_of_a_container_is_told_by_events(run_job: Callable[..., Seen]) -> None:
    seen = run_job("sleep 1.5")
    created, running, exited = events_of_containers()
    assert [event.event.rpartition(".")[2] for event in (created, running, exited)] == ["created", "running", "exited"]
    assert (running.follows, exited.follows) == (created.id, running.id)
    assert exited.resource.id == f"prefect.docker.container.{seen.attrs['Id']}"
    assert [related.role for related in exited.related] == ["flow-run", "worker"]
    assert exited.related[1].id.startswith("prefect.worker.docker.dockerworker-")


def test_a_container_that_cannot_be_made_is_told_of(run_job: Callable[..., Seen]) -> None:
    with pytest.raises(RuntimeError):
        run_job("true", image="nowhere/at-all:1")
    [failed] = events_of_containers()
    assert failed.event == "prefect.docker.container.creation-failed"
    assert "There is no image" in failed.payload["error"]
