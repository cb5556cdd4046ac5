"""What the workers ask of Google Cloud, and what they make of its answers: bodies of jobs, lost answers, refusals."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from headrace import flow
from headrace.client.orchestration import HeadraceClient, get_client
from headrace.client.schemas.objects import FlowRun
from headrace.exceptions import InfrastructureNotFound
from headrace.states import Running
from headrace.testing.worker_contract import idle, made
from headrace_gcp.experimental import decorators
from headrace_gcp.models.cloud_run_v2 import ExecutionV2, JobV2
from headrace_gcp.utilities import Execution, Job, job_name, merge_labels_for_gcp, sanitize_labels_for_gcp, slugify_name
from headrace_gcp.workers.cloud_run import CloudRunWorker
from headrace_gcp.workers.cloud_run_v2 import CloudRunWorkerV2
from headrace_gcp.workers.vertex import VertexAIWorker

from .cloud_run_server import CloudRun, CloudRunV1, CloudRunV2, Logging, Told, wait_until
from .google_apis import serving
from .google_login import ACCOUNT, GoogleLogin, service_account_info
from .vertex_server import VertexAI

VERTEX = {"region": "europe-west1", "image": "an/image:1", "job_watch_poll_interval": 0.02}


@pytest.fixture
def cloud_run(gcp: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRunV2]:
    with serving(CloudRunV2()) as found:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"run": found.url}))
        yield found


@pytest.fixture
def cloud_run_v1(gcp: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRunV1]:
    with serving(CloudRunV1()) as found:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"run": found.url}))
        yield found


@pytest.fixture
def vertex(gcp: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexAI]:
    with serving(VertexAI()) as found:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"aiplatform": found.url}))
        yield found


def conduct(worker_class: Any, variables: dict[str, Any], body: Callable[[HeadraceClient, Any, FlowRun], Any] | None = None) -> FlowRun:
    """Let a worker start a run with these job variables, do `body` meanwhile, wait for the end, and return the run."""

    async def work() -> FlowRun:
        async with get_client() as client:
            run = await made(client, worker_class, variables)
            async with worker_class(work_pool_name="contract") as worker:
                await worker.get_and_submit_flow_runs()
                if body is not None:
                    await body(client, worker, run)
                await idle(worker)
            return await client.read_flow_run(run.id)

    return asyncio.run(asyncio.wait_for(work(), 60))


def ending(api: CloudRun, code: int = 0) -> Callable[..., Any]:
    """Wait until a job runs, say that its flow does, and end it."""

    async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        await asyncio.to_thread(wait_until, lambda: api.started)
        await client.set_flow_run_state(run.id, Running())
        process = api.started[-1].executions[-1].process
        assert isinstance(process, Told)
        process.code = code

    return body


def message(run: FlowRun) -> str:
    assert run.state is not None
    return run.state.message or ""


# --- bodies


def test_a_job_of_the_second_api_has_what_the_variables_say(cloud_run: CloudRunV2):
    variables = {
        "image": "europe-docker.pkg.dev/p/r/flows:1",
        "args": ["--verbose"],
        "cpu": "2000m",
        "memory": "1Gi",
        "timeout": 1200,
        "max_retries": 1,
        "launch_stage": "GA",
        "vpc_connector_name": "projects/p/locations/r/connectors/c",
        "service_account_name": "runs@p.iam.gserviceaccount.com",
        "cloudsql_instances": ["p:r:db"],
        "labels": {"team": "data"},
        "env": {"WORD": "given", "HEADRACE_API_KEY": "in-the-clear", "TOKEN": "replaced"},
        "env_from_secrets": {"TOKEN": {"secret": "token", "version": "3"}},
        "headrace_api_key_secret": {"secret": "projects/other/secrets/key"},
        "secret_env": {"PASSWORD": "password"},
    }
    run = conduct(CloudRunWorkerV2, variables, ending(cloud_run))
    body = cloud_run.started[0].body
    task, container = body["template"]["template"], body["template"]["template"]["containers"][0]
    assert (body["client"], body["launchStage"], body["labels"]["team"]) == ("headrace", "GA", "data")
    assert body["labels"]["prefect-io-flow-run-id"] == body["template"]["labels"]["prefect-io-flow-run-id"] == str(run.id)
    assert (task["timeout"], task["maxRetries"], task["serviceAccount"]) == ("1200s", 1, "runs@p.iam.gserviceaccount.com")
    assert task["vpcAccess"] == {"connector": "projects/p/locations/r/connectors/c"}
    assert task["volumes"] == [{"name": "cloudsql", "cloudSqlInstance": {"instances": ["p:r:db"]}}]
    assert container["volumeMounts"] == [{"name": "cloudsql", "mountPath": "/cloudsql"}]
    assert container["resources"]["limits"] == {"cpu": "2000m", "memory": "1Gi"}
    assert (container["command"], container["args"]) == (["headrace", "flow-run", "execute"], ["--verbose"])
    env = {one["name"]: one.get("value") or one["valueSource"]["secretKeyRef"] for one in container["env"]}
    assert len(env) == len(container["env"])
    assert env["WORD"] == "given"
    assert env["TOKEN"] == {"secret": "token", "version": "3"}
    assert env["HEADRACE_API_KEY"] == {"secret": "projects/other/secrets/key", "version": "latest"}
    assert env["PASSWORD"] == {"secret": "password", "version": "latest"}


def test_defaults_leave_out_what_is_not_given(cloud_run: CloudRunV2):
    conduct(CloudRunWorkerV2, {"image": "i"}, ending(cloud_run))
    task = cloud_run.started[0].body["template"]["template"]
    assert "vpcAccess" not in task
    assert "serviceAccount" not in task
    assert (task["timeout"], task["maxRetries"]) == ("600s", 0)
    assert "args" not in task["containers"][0]
    assert cloud_run.calls.count("projects_locations_jobs_delete") == 1


def test_a_job_of_the_first_api_has_what_the_variables_say(cloud_run_v1: CloudRunV1):
    variables = {
        "image": "i",
        "memory": "512Mi",
        "timeout": 60,
        "vpc_connector_name": "c",
        "keep_job": True,
        "headrace_api_auth_string_secret": {"secret": "auth", "version": "2"},
        "secret_env": {"TOKEN": "projects/other/secrets/token:3", "SAME": "projects/other/secrets/token"},
    }
    run = conduct(CloudRunWorker, variables, ending(cloud_run_v1, 5))
    assert "status code 5" in message(run)
    (job,) = cloud_run_v1.jobs.values()  # it is kept
    template = job.body["spec"]["template"]
    assert job.body["metadata"]["namespace"] == "project-one"
    assert template["metadata"]["annotations"] == {
        "run.googleapis.com/vpc-access-connector": "c",
        "run.googleapis.com/secrets": "headrace-secret-0:projects/other/secrets/token",
    }
    task = template["spec"]["template"]["spec"]
    assert (task["timeoutSeconds"], task["maxRetries"]) == (60, 0)
    assert job.container["resources"] == {"limits": {"memory": "512Mi"}, "requests": {"memory": "512Mi"}}
    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in job.container["env"] if "valueFrom" in one}
    assert secrets == {
        "HEADRACE_API_AUTH_STRING": {"name": "auth", "key": "2"},
        "TOKEN": {"name": "headrace-secret-0", "key": "3"},
        "SAME": {"name": "headrace-secret-0", "key": "latest"},
    }


def test_a_custom_job_has_what_the_variables_say(vertex: VertexAI, caplog: pytest.LogCaptureFixture):
    variables = {
        **VERTEX,
        "machine_type": "g2-standard-4",
        "accelerator_type": "NVIDIA_L4",
        "accelerator_count": 1,
        "maximum_run_time_hours": 2,
        "network": "projects/1/global/networks/n",
        "reserved_ip_ranges": ["r"],
        "scheduling": {"strategy": "SPOT", "restart_job_on_worker_restart": True},
        "enable_web_access": True,
        "env": {"snake_case": "stays"},
    }

    async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        await asyncio.to_thread(wait_until, lambda: vertex.jobs)
        await client.set_flow_run_state(run.id, Running())
        await asyncio.to_thread(wait_until, lambda: "is running" in caplog.text)
        vertex.jobs[0].process.code = 4  # type: ignore[attr-defined]

    run = conduct(VertexAIWorker, variables, body)
    assert "status code 4" in message(run)
    page = "https://console.cloud.google.com/ai/platform/locations/europe-west1/training/1000?project=42"
    assert f"The job {run.infrastructure_pid} is running: It is shown at {page}" in caplog.text
    assert vertex.jobs[0].body["labels"]["prefect-io-flow-run-id"] == str(run.id)  # one rule for labels, as in Cloud Run
    spec = vertex.jobs[0].body["jobSpec"]
    assert spec["scheduling"] == {"strategy": "SPOT", "restartJobOnWorkerRestart": True, "timeout": "7200s"}
    assert (spec["serviceAccount"], spec["network"], spec["reservedIpRanges"]) == (ACCOUNT, "projects/1/global/networks/n", ["r"])
    assert (spec["enableWebAccess"], spec["enableDashboardAccess"]) == (True, False)
    (pool,) = spec["workerPoolSpecs"]
    assert pool["machineSpec"] == {"machineType": "g2-standard-4", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}
    assert pool["diskSpec"] == {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
    assert {"name": "snake_case", "value": "stays"} in pool["containerSpec"]["env"]


def test_secrets_of_the_platform_are_refused_where_there_are_none(vertex: VertexAI):
    run = conduct(VertexAIWorker, {**VERTEX, "secret_env": {"TOKEN": "token"}})
    assert "secret_env names TOKEN, and vertex AI takes no variables from Secret Manager" in message(run)
    assert vertex.jobs == []


def test_a_key_in_the_clear_is_warned_of(cloud_run: CloudRunV2, caplog: pytest.LogCaptureFixture):
    conduct(CloudRunWorkerV2, {"image": "i", "env": {"HEADRACE_API_KEY": "in-the-clear"}}, ending(cloud_run))
    assert "HEADRACE_API_KEY can be read by everybody who may see the job. Keep it in Secret Manager" in caplog.text
    assert "in-the-clear" not in caplog.text


# --- what goes wrong


@pytest.mark.parametrize("how", ["busy", "down", "lost", "dropped"])
@pytest.mark.parametrize("call", ["create", "get", "run", "executions_get", "delete"])
def test_no_fault_of_the_service_starts_a_run_twice(cloud_run: CloudRunV2, call: str, how: str):
    cloud_run.faults = [(f"projects_locations_jobs_{call}", how)]
    run = conduct(CloudRunWorkerV2, {"image": "i"}, ending(cloud_run))
    assert run.state is not None and run.state.is_running()  # the job ended well, and its flow would have said more
    assert len(cloud_run.started) == 1


@pytest.mark.parametrize("kind", ["cloud-run-v2", "cloud-run", "vertex-ai"])
def test_a_lost_job_is_found_although_its_run_was_renamed(
    kind: str, cloud_run: CloudRunV2, cloud_run_v1: CloudRunV1, vertex: VertexAI, monkeypatch: pytest.MonkeyPatch
):
    """A flow may name its run when it begins; then a worker has died that had just started the job."""
    worker_class, api, variables = {
        "cloud-run-v2": (CloudRunWorkerV2, cloud_run, {"image": "i"}),
        "cloud-run": (CloudRunWorker, cloud_run_v1, {"image": "i"}),
        "vertex-ai": (VertexAIWorker, vertex, VERTEX),
    }[kind]
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"run": api.url, "aiplatform": vertex.url}))

    async def work() -> None:
        async with get_client() as client:
            run = await made(client, worker_class, variables)
            worker = worker_class(work_pool_name="contract")
            template = worker_class.get_default_base_job_template()
            job, other = [await worker_class.job_configuration.from_template_and_values(template, variables) for _ in range(2)]
            job.prepare_for_flow_run(run)
            assert worker.find_job(job, job.token) is None
            identifier = worker.submit_job(job, job.token)
            other.prepare_for_flow_run(run.model_copy(update={"name": "another name", "id": run.id}))
            assert other.job_name != job.job_name
            assert worker.find_job(other, job.token) == identifier
            assert worker.find_job(other, "0" * 32) is None

    asyncio.run(work())


def test_a_start_of_which_nobody_knows_is_not_repeated(cloud_run: CloudRunV2):
    async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        await asyncio.to_thread(wait_until, lambda: cloud_run.started)

    cloud_run.faults = [("projects_locations_jobs_run", "lost")]
    run = cloud_run_that_goes_deaf(cloud_run, body)
    assert "It is not started again, so that it does not run twice" in message(run)
    assert len(cloud_run.started) == 1


def cloud_run_that_goes_deaf(api: CloudRunV2, body: Any) -> FlowRun:
    """Conduct a run of which nothing is to be known once it was started."""
    start = api.begin

    def begin(name: str) -> Any:
        api.faults += [("projects_locations_jobs_get", "down")] * 100
        return start(name)

    api.begin = begin  # type: ignore[method-assign]
    return conduct(CloudRunWorkerV2, {"image": "i"}, body)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("forbidden", f"{ACCOUNT} may not run a job in project 'project-one', region 'nowhere1'"), ("silent", "did not answer|timed out")],
)
def test_refusals_say_what_to_do(cloud_run: CloudRunV2, monkeypatch: pytest.MonkeyPatch, fault: str, said: str):
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_REQUEST_TIMEOUT_SECONDS", "1")
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_CREATE_JOB_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_SUBMIT_JOB_MAX_ATTEMPTS", "1")
    cloud_run.faults = [("projects_locations_jobs_create", fault)] * 20
    run = conduct(CloudRunWorkerV2, {"image": "i", "region": "nowhere1"})
    assert re.search(said, message(run)), message(run)
    if fault == "forbidden":
        assert "roles/run.developer" in message(run)


@pytest.mark.parametrize(("kind", "what"), [(kind, what) for kind in ("cloud-run-v2", "vertex-ai") for what in ("nowhere", "revoked")])
def test_a_place_that_is_not_there_and_a_revoked_key_are_told(
    kind: str, what: str, gcp: None, info: dict[str, Any], login: GoogleLogin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_CREATE_JOB_MAX_ATTEMPTS", "1")
    endpoints = {"run": "http://nowhere1-run.invalid", "aiplatform": "http://nowhere1-aiplatform.invalid"}
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps(endpoints))
    worker, variables = (CloudRunWorkerV2, {"image": "i"}) if kind == "cloud-run-v2" else (Hasty, VERTEX)
    if what == "revoked":
        key = service_account_info(login, rsa.generate_private_key(public_exponent=65537, key_size=2048))
        run = conduct(worker, {**variables, "credentials": {"service_account_info": key}})
        assert re.search(r"gave no token for these credentials \(.*Invalid JWT Signature.*Check the GcpCredentials block", message(run))
        assert "BEGIN" not in message(run)
    else:
        run = conduct(worker, {**variables, "region": "nowhere1"})
        assert re.search("not to be reached to .* in project 'project-one', region 'nowhere1'.*Check the region, and the network", message(run))


class Hasty(VertexAIWorker):
    """Waits shortly between tries."""

    retry_seconds = 0.02


def test_an_image_that_is_missing_is_told_and_nothing_is_left(cloud_run: CloudRunV2):
    run = conduct(CloudRunWorkerV2, {"image": "missing:1"})
    assert "Image 'missing:1' not found. Check the image" in message(run)
    assert cloud_run.jobs == {}


def test_a_body_without_a_container_is_refused(cloud_run: CloudRunV2):
    configuration = CloudRunWorkerV2.job_configuration(job_body={"template": {}})

    async def work() -> None:
        async with get_client() as client:
            run = await made(client, CloudRunWorkerV2, {"image": "i"})
            with pytest.raises(ValueError, match=r"no template.template.containers\[0\].image"):
                configuration.prepare_for_flow_run(run)

    asyncio.run(work())


def test_variables_of_the_original_name_are_taken(cloud_run: CloudRunV2):
    made = CloudRunWorkerV2.job_configuration(prefect_api_key_secret={"secret": "key", "version": "1"})
    assert made.headrace_api_key_secret.secret == "key"


def test_killing_what_is_not_there_is_told(cloud_run: CloudRunV2):
    async def work() -> None:
        worker = CloudRunWorkerV2(work_pool_name="p")
        await worker.setup()
        with pytest.raises(InfrastructureNotFound, match="There is no Cloud Run job 'gone' in project 'project-one', region 'us-central1'"):
            await worker.kill_infrastructure("gone", CloudRunWorkerV2.job_configuration())
        with pytest.raises(ValueError, match="no name of a Cloud Run job"):
            await worker.kill_infrastructure("projects/a/b", CloudRunWorkerV2.job_configuration())

    asyncio.run(work())


def test_a_job_that_is_never_ready_is_given_up_and_removed(cloud_run: CloudRunV2, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_READY_TIMEOUT_SECONDS", "0.1")
    run = conduct(CloudRunWorkerV2, {"image": "slow:1"})
    assert "was not ready within 0.1 seconds, and was removed" in message(run)
    assert cloud_run.jobs == {}


@pytest.mark.parametrize("kind", ["cloud-run-v2", "vertex-ai"])
def test_output_is_told_when_the_flow_never_began(
    kind: str, cloud_run: CloudRunV2, vertex: VertexAI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    api: Any = cloud_run if kind == "cloud-run-v2" else vertex

    async def body(client: HeadraceClient, worker: Any, run: FlowRun) -> None:
        await asyncio.to_thread(wait_until, lambda: api.started if api is cloud_run else api.jobs)
        (api.started[0].executions[0] if api is cloud_run else api.jobs[0]).process.code = 1

    with serving(Logging(pages=[["Traceback:"], ["ModuleNotFoundError: flows"]])) as logging:
        urls = {"run": cloud_run.url, "aiplatform": vertex.url, "logging": logging.url}
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps(urls))
        worker, variables = (CloudRunWorkerV2, {"image": "i"}) if api is cloud_run else (VertexAIWorker, VERTEX)
        run = conduct(worker, variables, body)
    assert run.state is not None and run.state.is_crashed()
    assert caplog.text.count("[job] Traceback:") == caplog.text.count("[job] ModuleNotFoundError: flows") == 1
    told = str(run.infrastructure_pid).rpartition("/")[2]
    assert told in logging.filters[0]


# --- names and labels


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Ärgerlicher Otter #7", "argerlicher-otter-7"), ("x" * 40, "x" * 30), ("---", None), ("", None), ("a" * 29 + "-b", "a" * 29)],
)
def test_names_are_cut_to_what_google_takes(name: str, slug: str | None):
    assert slugify_name(name) == slug


def test_a_jobs_name_begins_with_a_letter_and_is_short_enough():
    assert job_name("7 dwarfs", "0" * 32) == f"run-7-dwarfs-{'0' * 32}"
    assert job_name(None, "0" * 32) == f"job-{'0' * 32}"
    assert len(job_name("y" * 99, "0" * 32)) == 63


def test_labels_fit_and_those_of_the_template_stay():
    assert sanitize_labels_for_gcp({"prefect.io/flow-run-name": "Über Otter", "7": "x"}) == {"prefect-io-flow-run-name": "ber-otter", "x-7": "x"}
    own = {f"own{number}": "1" for number in range(63)}
    found = merge_labels_for_gcp({"prefect.io/flow-run-id": "one", "prefect.io/version": "two", "own1": "theirs"}, own)
    assert len(found) == 64
    assert found["own1"] == "1"


# --- models


def test_models_read_what_google_says(cloud_run: CloudRunV2):
    configuration = CloudRunWorkerV2.job_configuration()
    resource = configuration.api._resource
    body = {"template": {"template": {"timeout": "5s", "containers": [{"image": "i", "env": []}]}}}
    JobV2.create(resource, "p", "r", "one", body)
    assert not JobV2.get(resource, "p", "r", "one").is_ready()
    assert JobV2.get(resource, "p", "r", "one").is_ready()
    JobV2.run(resource, "p", "r", "one")
    name = f"projects/p/locations/r/jobs/one/executions/{JobV2.get(resource, 'p', 'r', 'one').latestCreatedExecution['name']}"
    assert ExecutionV2.get(resource, name).is_running()
    cloud_run.jobs["one"].executions[0].process.code = 0  # type: ignore[attr-defined]
    found = ExecutionV2.get(resource, name)
    assert (found.is_running(), found.succeeded(), found.condition_after_completion()["type"]) == (False, True, "Completed")
    JobV2.delete(resource, "p", "r", "one")
    assert cloud_run.jobs == {}


def test_models_of_the_first_api_read_what_google_says(cloud_run_v1: CloudRunV1):
    namespaces = CloudRunWorker.job_configuration().api._namespaces
    body = {"apiVersion": "run.googleapis.com/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"template": {"spec": {}}}}
    body["spec"]["template"]["spec"] = {"template": {"spec": {"containers": [{"image": "i", "env": []}]}}}  # type: ignore[index]
    Job.create(namespaces, "p", body)
    assert not Job.get(namespaces, "p", "one").is_ready()
    assert not Job.get(namespaces, "p", "one").has_execution_in_progress()
    Job.run(namespaces, "p", "one")
    found = Job.get(namespaces, "p", "one")
    assert found.has_execution_in_progress()
    assert Execution.get(namespaces, "p", found.execution_status["name"]).is_running()
    cloud_run_v1.jobs["one"].executions[0].process.code = 1  # type: ignore[attr-defined]
    execution = Execution.get(namespaces, "p", found.execution_status["name"])
    assert (execution.is_running(), execution.succeeded()) == (False, False)


# --- decorators


def test_decorators_bind_flows_to_their_worker():
    @decorators.cloud_run(work_pool="pool", memory="1Gi", include_files=["data/*.csv"])
    @flow
    def one():
        return 1

    @decorators.vertex_ai(work_pool="large", machine_type="g2-standard-4")
    @flow
    def two():
        return 2

    assert (one.work_pool, one.worker_cls, one.job_variables) == ("pool", CloudRunWorkerV2, {"memory": "1Gi"})
    assert (two.work_pool, two.worker_cls, two.job_variables) == ("large", VertexAIWorker, {"machine_type": "g2-standard-4"})
    with pytest.raises(ValueError, match="blank|include"):
        decorators.cloud_run(work_pool="pool", include_files=[" "])(flow(lambda: 1, name="three"))
