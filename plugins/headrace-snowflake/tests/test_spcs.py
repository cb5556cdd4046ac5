"""The worker for Snowpark Container Services, against a server whose job services run processes."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace import flow
from headrace.client.orchestration import get_client
from headrace.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from headrace.testing import RemoteJobContract
from headrace.testing.remote_job_contract import RemoteService
from headrace.testing.worker_contract import StartedJob
from headrace_snowflake import SnowflakeCredentials, services
from headrace_snowflake.experimental.workers.spcs import SPCSWorker, SPCSWorkerConfiguration

specification = importlib.util.spec_from_file_location("job_services", Path(__file__).with_name("job_services.py"))
assert specification is not None and specification.loader is not None
job_services = importlib.util.module_from_spec(specification)
sys.modules["job_services"] = job_services
specification.loader.exec_module(job_services)

POOL = "GUIDE.PUBLIC.SMALL"


class Service(RemoteService):
    """The server's job services that were started since this was made."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._before = len(server.ask("GET", "/jobs"))
        self._seen = 0

    def jobs(self) -> list[dict[str, Any]]:
        return self._server.ask("GET", "/jobs")[self._before :]

    async def started(self) -> StartedJob:
        while len(jobs := await asyncio.to_thread(self.jobs)) <= self._seen:
            await asyncio.sleep(0.02)
        job = jobs[self._seen]
        self._seen += 1
        return StartedJob(job["name"], job["env"], " ".join(job["told"]["specification"]["spec"]["containers"][0]["command"]))

    def end(self, identifier: str, status: int) -> None:
        self._server.ask("POST", f"/jobs/{identifier}?status={status}")

    def is_running(self, identifier: str) -> bool:
        return any(job["name"] == identifier and job["is_there"] and job["status"] is None for job in self.jobs())

    def count(self) -> int:
        return len(self.jobs())


@pytest.fixture
def service(server: Any) -> Service:
    return Service(server)


@pytest.fixture
def worker_class(credentials: Any) -> Iterator[type[SPCSWorker]]:
    """A worker whose configuration has credentials by itself, as one that is not prepared has when a pool gives them, and that looks often."""
    login = credentials()
    opened: list[services.Sessions] = []

    class Configuration(SPCSWorkerConfiguration):
        snowflake_credentials: SnowflakeCredentials | None = login

    class Worker(SPCSWorker):
        """The worker, with a login by default."""

        job_configuration = Configuration

        async def setup(self) -> None:
            await super().setup()
            opened.append(self._sessions)

        def poll_seconds(self, job: SPCSWorkerConfiguration) -> float:
            return 0.05

    yield Worker
    for sessions in opened:  # of workers too that were dropped as if they had been killed
        sessions.close()


@pytest.fixture
def job_variables(credentials: Any) -> dict[str, Any]:
    login = credentials()
    login.save("snowflake-login", overwrite=True)
    return {"compute_pool": POOL, "snowflake_credentials": {"$ref": {"block_document_id": str(login._block_document_id)}}}


class TestWorker(RemoteJobContract):
    @pytest.fixture
    def worker_class(self, worker_class: type[SPCSWorker]) -> type[SPCSWorker]:
        return worker_class

    @pytest.fixture
    def service(self, service: Service) -> Service:
        return service

    @pytest.fixture
    def job_variables(self, job_variables: dict[str, Any]) -> dict[str, Any]:
        return job_variables

    @pytest.fixture
    def broken_job_variables(self, job_variables: dict[str, Any]) -> dict[str, Any]:
        return {**job_variables, "compute_pool": "GUIDE.PUBLIC.NOWHERE"}

    @pytest.fixture
    def lost_answer(self) -> Exception:
        return services.SessionLost("the connection broke")


# --- what a job is made from


@flow
def contained() -> None: ...


@pytest.fixture
def prepared(job_variables: dict[str, Any]) -> Callable[..., SPCSWorkerConfiguration]:
    """Make the configuration of a run from job variables, and from another template if one is given."""

    async def make(variables: dict[str, Any], template: dict[str, Any]) -> SPCSWorkerConfiguration:
        async with get_client() as client:
            run = await client.create_flow_run(contained, name="Odd Name: 1/2")
            job: SPCSWorkerConfiguration = await SPCSWorkerConfiguration.from_template_and_values(template, variables)
            job.prepare_for_flow_run(run)
            return job

    def prepare(template: dict[str, Any] | None = None, **variables: Any) -> SPCSWorkerConfiguration:
        return asyncio.run(make({**job_variables, **variables}, template or SPCSWorker.get_default_base_job_template()))

    return prepare


def test_the_specification_has_what_is_configured_and_nothing_empty(prepared):
    spec = prepared(image="headrace:1", image_registry="/guide/public/images/", env={"A": "b", "C": None})
    (container,) = spec.specification()["spec"]["containers"]
    environment = container.pop("env")
    assert environment["A"] == "b"
    assert "C" not in environment
    assert container == {
        "name": "headrace-job",
        "image": "/guide/public/images/headrace:1",
        "command": ["headrace", "flow-run", "execute"],
        "resources": {"requests": {"cpu": "1", "memory": "1G"}, "limits": {"cpu": "2", "memory": "2G"}},
    }
    assert spec.specification()["spec"].keys() == {"containers", "logExporters"}


def test_the_specification_has_all_that_can_be_configured(prepared):
    secret = {"snowflakeSecret": {"objectName": "guide.public.other"}, "secretKeyRef": "password", "envVarName": "OTHER"}
    mount = {"name": "data", "mountPath": "/data"}
    job = prepared(
        entrypoint="/entry.sh",
        secrets=[secret],
        secret_env={"HEADRACE_API_KEY": "guide.public.api_key", "USER": "guide.public.login:username"},
        gpu_count=1,
        volumes=[{"name": "data", "source": "local"}],
        volume_mounts=[mount],
        log_level="ERROR",
        metrics_groups=["system"],
    )
    spec = job.specification()["spec"]
    container = spec["containers"][0]
    assert (container["command"], container["args"]) == (["/entry.sh"], ["headrace", "flow-run", "execute"])
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["volumeMounts"] == [mount]
    assert [one["envVarName"] for one in container["secrets"]] == ["OTHER", "HEADRACE_API_KEY", "USER"]
    assert container["secrets"][2]["secretKeyRef"] == "username"
    assert spec["logExporters"] == {"eventTableConfig": {"logLevel": "ERROR"}}
    assert spec["platformMonitor"] == {"metricConfig": {"groups": ["system"]}}


def test_the_manifest_of_a_pool_may_have_more_containers(prepared):
    template = SPCSWorker.get_default_base_job_template()
    manifest = {"spec": {"containers": [{"name": "flow"}, {"name": "side", "image": "/guide/public/images/side"}]}}
    template["job_configuration"]["job_manifest"] = manifest
    containers = prepared(template).specification()["spec"]["containers"]
    assert [one["name"] for one in containers] == ["flow", "side"]
    assert "command" not in containers[1]
    template["job_configuration"]["job_manifest"] = {"spec": {}}
    with pytest.raises(ValueError, match="The job manifest has no container"):
        prepared(template).specification()


def test_the_statement_holds_whatever_values_hold(prepared):
    job = prepared(env={"ODD": "two $$ dollars, 'quotes' and \\ %(more)s"}, query_warehouse="wh", external_access_integrations=["a", "b"])
    pool = services.Pool.parsed("guide.public.small")
    statement = services.start(
        "guide.public.name", pool, job.specification(), warehouse="wh", comment="it's \\ this", integrations=job.external_access_integrations
    )
    assert statement.count("$$") == 2
    found = job_services.START.fullmatch(statement)
    assert found is not None
    assert json.loads(found["specification"]) == job.specification()
    assert (found["comment"], found["integrations"]) == ("it''s \\\\ this", "a, b")


@pytest.mark.parametrize(
    ("pool", "text"),
    [
        (None, "The compute pool is None. Give it as `database.schema.pool`"),
        ("small", "Give it as `database.schema.pool`"),
        ("a.b.c; DROP TABLE x", "cannot be a part of the compute pool"),
    ],
)
def test_what_is_no_compute_pool_is_refused(pool, text):
    with pytest.raises(ValueError, match=text):
        services.Pool.parsed(pool)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "a.b.c d", "a.b.'c'", "1.2.3"])
def test_what_is_no_service_is_refused(text):
    with pytest.raises(ValueError, match="it has to be `database.schema.service`"):
        services.service_name(text)


# --- a job


@pytest.fixture
def run_job(worker_class: type[SPCSWorker], prepared: Callable[..., SPCSWorkerConfiguration]) -> Callable[..., tuple[Any, list[str]]]:
    """Run a script as the worker runs jobs; return the result and the lines that the worker shows."""

    async def work(job: SPCSWorkerConfiguration) -> tuple[Any, list[str]]:
        async with get_client() as client, worker_class(work_pool_name="pool") as worker:
            lines: list[str] = []
            worker.show_line = lines.append
            return await worker.run(await client.create_flow_run(contained, name="contained"), job), lines

    def run(script: str, **variables: Any) -> tuple[Any, list[str]]:
        env = {"HEADRACE_API_URL": "http://127.0.0.1:9/api", **variables.pop("env", {})}
        job = prepared(command=f"sh -c {shlex.quote(script)}", env=env, stream_output=True, **variables)
        return asyncio.run(asyncio.wait_for(work(job), 60))

    return run


def test_output_is_shown_each_line_once(run_job):
    result, lines = run_job("for n in 1 2 3 4 5; do echo line $n; echo same; sleep 0.1; done")
    assert result.status_code == 0
    assert [line for line in lines if line != "same"] == [f"line {n}" for n in range(1, 6)]
    assert lines.count("same") == 5


def test_output_beyond_what_is_returned_at_once_is_shown_as_far_as_it_goes(run_job):
    result, lines = run_job("seq 1 900; sleep 1; seq 901 1700; sleep 1; seq 1701 1800")
    assert result.status_code == 0
    assert lines == [str(n) for n in range(1, 1801)]


def test_a_job_that_fails_says_its_status_and_is_gone(run_job, server):
    result, _ = run_job("exit 7")
    assert result.status_code == 7
    assert not [job for job in server.ask("GET", "/jobs") if job["name"] == result.identifier and job["is_there"]]


def test_secrets_come_from_snowflake_and_stand_in_no_statement(run_job, server):
    result, lines = run_job("echo key is $HEADRACE_API_KEY", secret_env={"HEADRACE_API_KEY": "guide.public.api_key"})
    assert result.status_code == 0
    assert lines == ["key is from-the-vault"]
    assert "from-the-vault" not in str(server.told()["statements"])


def test_secrets_in_statements_are_warned_of_and_not_shown(run_job, caplog):
    run_job("true", env={"HEADRACE_API_KEY": "key-in-the-clear"})
    (warning,) = [record.getMessage() for record in caplog.records if "query history" in record.getMessage()]
    assert "HEADRACE_API_KEY" in warning
    assert "key-in-the-clear" not in caplog.text


def test_a_job_that_gets_no_node_is_stopped_and_told_of(run_job, server, caplog):
    caplog.set_level(logging.INFO)
    result, _ = run_job("true", env={"STAY_PENDING": "yes"}, pool_start_timeout_seconds=1, service_start_timeout_seconds=1)
    assert result.status_code == -1
    assert "Compute pool is resuming." in caplog.text
    assert "did not begin within 2 seconds and was stopped" in caplog.text
    assert not [job for job in server.ask("GET", "/jobs") if job["name"] == result.identifier and job["is_there"]]


def test_a_pool_that_is_not_there_is_told(run_job):
    with pytest.raises(RuntimeError, match="(?s)cannot be started in the compute pool guide.public.nowhere: .*does not exist or not authorized"):
        run_job("true", compute_pool="guide.public.nowhere")


def test_a_session_that_has_ended_is_opened_again(credentials, server):
    sessions = services.Sessions()
    login = credentials()
    assert sessions.rows(login, "SELECT 1 AS one") == [{"one": 1}]
    session = sessions._open[services._key(login)]
    server.ask("POST", "/end-sessions")
    assert sessions.rows(login, "SELECT 1 AS one") == [{"one": 1}]
    assert sessions._open[services._key(login)] is not session
    sessions.close()


def test_a_statement_that_hangs_is_given_up(credentials, monkeypatch):
    monkeypatch.setattr(services, "STATEMENT_SECONDS_MAX", 1)
    sessions = services.Sessions()
    with pytest.raises(services.SessionLost):
        sessions.rows(credentials(), "CALL SYSTEM$WAIT(30)")
    sessions.close()


def test_a_service_that_is_not_there_is_told_apart_from_one_that_cannot_be_reached(credentials):
    sessions = services.Sessions()
    with pytest.raises(InfrastructureNotFound, match="does not exist or not authorized"):
        sessions.rows(credentials(), "DROP SERVICE a.b.c")
    sessions.close()
    with pytest.raises(InfrastructureNotAvailable, match="Snowflake cannot be reached"):
        sessions.rows(credentials(password="paranoid-android", port=9, login_timeout_seconds=1), "DROP SERVICE a.b.c")


def test_a_worker_without_credentials_says_what_is_missing():
    with pytest.raises(ValueError, match="The job variable `snowflake_credentials` is not set"):
        _ = SPCSWorkerConfiguration().login
