"""dbt Cloud, with a server on this machine that answers as its documented API does."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from headrace import flow
from headrace_dbt.cloud import DbtCloudCredentials, DbtCloudJob, runs
from headrace_dbt.cloud.exceptions import (
    DbtCloudCreateJobFailed,
    DbtCloudDeleteJobFailed,
    DbtCloudException,
    DbtCloudGetJobFailed,
    DbtCloudGetRunArtifactFailed,
    DbtCloudGetRunFailed,
    DbtCloudJobRunCancelled,
    DbtCloudJobRunFailed,
    DbtCloudJobRunIncomplete,
    DbtCloudJobRunTimedOut,
    DbtCloudJobRunTriggerFailed,
    DbtCloudListRunArtifactsFailed,
)
from headrace_dbt.cloud.jobs import (
    create_dbt_cloud_job,
    delete_dbt_cloud_job,
    get_dbt_cloud_job_info,
    get_run_id,
    retry_dbt_cloud_job_run_subset_and_wait_for_completion,
    run_dbt_cloud_job,
    trigger_dbt_cloud_job_run,
    trigger_dbt_cloud_job_run_and_wait_for_completion,
)
from headrace_dbt.cloud.models import TriggerJobRunOptions
from headrace_dbt.cloud.retrying import without_selection
from headrace_dbt.cloud.runs import (
    DbtCloudJobRunStatus,
    get_dbt_cloud_run_artifact,
    get_dbt_cloud_run_info,
    list_dbt_cloud_run_artifacts,
    wait_for_dbt_cloud_job_run,
)
from headrace_dbt.cloud.utils import (
    DbtCloudAdministrativeApiCallFailed,
    call_dbt_cloud_administrative_api_endpoint,
    extract_developer_message,
    extract_user_message,
)

KEY = "key-of-the-account"
RESULTS = {
    "results": [
        {"unique_id": "model.shop.orders", "status": "error"},
        {"unique_id": "test.shop.not_null_orders_id.a1b2c3", "status": "skipped"},
        {"unique_id": "model.shop.prices", "status": "success"},
    ]
}


class Cloud:
    """An account of dbt Cloud: jobs, runs that pass through the given statuses, artifacts, and what was asked of it."""

    def __init__(self) -> None:
        self.jobs: dict[int, dict[str, Any]] = {1: {"id": 1, "name": "nightly", "execute_steps": ["dbt build"]}}
        self.runs: dict[int, dict[str, Any]] = {}
        self.courses: list[list[int]] = []
        self.steps = [
            {"index": 1, "name": "Clone git repository", "status": 10},
            {"index": 2, "name": "Invoke dbt with `dbt deps`", "status": 10},
            {"index": 3, "name": "Invoke dbt with `dbt build --select tag:x --exclude y --threads 4 --full-refresh`", "status": 20},
            {"index": 4, "name": "Invoke dbt with `dbt docs generate`", "status": 1},
        ]
        self.artifacts: dict[str, Any] = {"run_results.json": RESULTS, "manifest.json": {"nodes": {}}, "log.txt": "text"}
        self.asked: list[tuple[str, str, dict[str, list[str]], Any]] = []
        self.refusals: list[int] = []
        self.page = ""
        self.hangs = False
        self.ended = threading.Event()
        self.domain = ""

    def triggered(self) -> list[dict[str, Any]]:
        return [body for method, path, _, body in self.asked if method == "POST" and path.endswith("/run/")]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        self.asked.append((method, path, query, body))
        if self.refusals:
            return self.refusals.pop(0), None
        if path == "/graphql":
            wrong = "nothing" in body["query"]
            return 200, {"errors": [{"message": "no field nothing"}]} if wrong else {"data": {"asked": body}}
        for pattern, function in (
            (r"/jobs/(\d+)/run/", self.trigger),
            (r"/jobs/(\d+)/artifacts/(.+)", self.artifact),
            (r"/jobs/(\d+)/", self.job),
            (r"/jobs/", self.create),
            (r"/runs/(\d+)/artifacts/", self.list),
            (r"/runs/(\d+)/artifacts/(.+)", self.artifact),
            (r"/runs/(\d+)/", self.run),
            (r"/projects/", lambda method, body: [{"id": 7}]),
        ):
            found = re.fullmatch(rf"/api/v2/accounts/42{pattern}", path)
            if found:
                data = function(method, body, *found.groups())
                return (404, None) if data is None else (200, data if "artifacts/" in pattern and found.lastindex == 2 else {"data": data})
        return 404, None

    def trigger(self, method: str, body: Any, job: str) -> Any:
        if int(job) not in self.jobs:
            return None
        number = 100 + len(self.runs)
        self.runs[number] = {"id": number, "job_definition_id": int(job), "course": self.courses.pop(0) if self.courses else [10]}
        return self.shown(number, 1)

    def shown(self, number: int, status: int) -> dict[str, Any]:
        return {"id": number, "status": status, "job_definition_id": self.runs[number]["job_definition_id"], "href": f"https://cloud/runs/{number}"}

    def run(self, method: str, body: Any, number: str) -> Any:
        if int(number) not in self.runs:
            return None
        course = self.runs[int(number)]["course"]
        status = course.pop(0) if len(course) > 1 else course[0]
        return {**self.shown(int(number), status), "run_steps": self.steps}

    def job(self, method: str, body: Any, number: str) -> Any:
        return self.jobs.pop(int(number), None) if method == "DELETE" else self.jobs.get(int(number))

    def create(self, method: str, body: Any) -> Any:
        self.jobs[2] = {**body, "id": 2}
        return self.jobs[2]

    def list(self, method: str, body: Any, number: str) -> Any:
        return sorted(self.artifacts) if int(number) in self.runs else None

    def artifact(self, method: str, body: Any, number: str, path: str) -> Any:
        return self.artifacts.get(path)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    account = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.headers["Authorization"] == f"Bearer {KEY}":
                code, content = account.answer(self.command, url.path, parse_qs(url.query), body)
            else:
                code, content = 401, None
            if content is None:
                said = {401: "Invalid token.", 404: "The requested resource was not found."}.get(code, "Out of order.")
                content = {"status": {"code": code, "is_success": False, "user_message": said, "developer_message": ""}, "data": None}
            if account.hangs:
                account.ended.wait()
                return
            encoded = account.page.encode() or (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(200 if account.page else code)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    account.domain = f"http://127.0.0.1:{server.server_port}"
    yield account
    account.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def credentials(cloud: Cloud) -> DbtCloudCredentials:
    return DbtCloudCredentials(api_key=KEY, account_id=42, domain=cloud.domain)


def in_flow(call: Any, **options: Any) -> Any:
    @flow
    def calling() -> Any:
        return call(**options)

    return calling()


# --- clients ------------------------------------------------------------------------------------------------------------


def test_the_client_speaks_blocking_and_async(cloud, credentials):
    with credentials.get_client("administrative") as client:
        assert client.get_job(1, order_by="-id").json()["data"]["name"] == "nightly"
        assert client.trigger_job_run(1, TriggerJobRunOptions(cause="test", git_branch="staging")).json()["data"]["id"] == 100
        assert client.get_run(100, ["trigger", "job"]).json()["data"]["status"] == 10
        assert client.list_run_artifacts(100, step=2).json()["data"] == ["log.txt", "manifest.json", "run_results.json"]
        assert client.get_run_artifact(100, "log.txt").text == "text"
        assert client.get_job_artifact(1, "manifest.json").json() == {"nodes": {}}
        assert KEY not in repr(client)
    assert cloud.triggered() == [{"cause": "test", "git_branch": "staging"}]
    queries = [query for _, _, query, _ in cloud.asked]
    assert queries[0] == {"order_by": ["-id"]}
    assert queries[2] == {"include_related": ["trigger", "job"]}
    assert queries[3] == {"step": ["2"]}

    async def ask() -> Any:
        async with credentials.get_administrative_client() as client:
            return (await client.get_job(1)).json()["data"]["id"]

    assert asyncio.run(ask()) == 1


def test_the_metadata_client_asks_in_graphql(credentials):
    with credentials.get_metadata_client() as client:
        result = client.query("query one($id: Int) { job(id: $id) }", {"id": 1}, "one")
        assert result == {"data": {"asked": {"query": "query one($id: Int) { job(id: $id) }", "variables": {"id": 1}, "operationName": "one"}}}
        with pytest.raises(DbtCloudException, match="no field nothing"):
            client.query("{ nothing }")


def test_addresses_and_clients_are_checked(credentials):
    with pytest.raises(ValueError, match="'client_type' should be 'administrative' or 'metadata', not 'other'"):
        credentials.get_client("other")
    with pytest.raises(ValueError, match="would get the API key unencrypted"):
        DbtCloudCredentials(api_key=KEY, account_id=42, domain="http://cloud.getdbt.com").get_administrative_client()
    client = DbtCloudCredentials(api_key=KEY, account_id=42).get_metadata_client()
    assert repr(client) == "DbtCloudMetadataClient('https://metadata.cloud.getdbt.com/graphql')"
    with credentials.get_administrative_client() as admin, pytest.raises(ValueError, match="is not the path of an artifact"):
        admin.get_run_artifact(1, "../../users")


# --- tasks --------------------------------------------------------------------------------------------------------------


def test_jobs_are_read_created_and_deleted(cloud, credentials):
    assert in_flow(get_dbt_cloud_job_info, dbt_cloud_credentials=credentials, job_id=1)["name"] == "nightly"
    made = in_flow(create_dbt_cloud_job, dbt_cloud_credentials=credentials, project_id=7, environment_id=8, name="new", settings={"threads": 4})
    assert made["execute_steps"] == ["dbt build"]
    assert made["settings"] == {"threads": 4}
    assert made["account_id"] == 42
    assert in_flow(delete_dbt_cloud_job, dbt_cloud_credentials=credentials, job_id=2) is None
    assert 2 not in cloud.jobs


def test_runs_are_read_with_their_artifacts(cloud, credentials):
    triggered = in_flow(trigger_dbt_cloud_job_run, dbt_cloud_credentials=credentials, job_id=1)
    run_id = in_flow(get_run_id, obj=triggered)
    given = {"dbt_cloud_credentials": credentials, "run_id": run_id}
    assert in_flow(get_dbt_cloud_run_info, **given, include_related=["job"])["status"] == 10
    assert "manifest.json" in in_flow(list_dbt_cloud_run_artifacts, **given)
    assert in_flow(get_dbt_cloud_run_artifact, **given, path="manifest.json") == {"nodes": {}}
    assert in_flow(get_dbt_cloud_run_artifact, **given, path="log.txt", step=1) == "text"
    assert cloud.triggered()[0]["cause"].startswith("Triggered via headrace in task run ")
    status, data = asyncio.run(wait_for_dbt_cloud_job_run(**{**given, "max_wait_seconds": 1}))
    assert (status, data["id"]) == (DbtCloudJobRunStatus.SUCCESS, run_id)


def test_any_endpoint_is_called(credentials):
    call = {"dbt_cloud_credentials": credentials, "path": "/projects/", "http_method": "GET"}
    assert in_flow(call_dbt_cloud_administrative_api_endpoint, **call) == {"data": [{"id": 7}]}
    with pytest.raises(DbtCloudAdministrativeApiCallFailed, match="not found"):
        in_flow(call_dbt_cloud_administrative_api_endpoint, **{**call, "path": "/nowhere/"})


@pytest.mark.parametrize(
    ("call", "options", "error", "text"),
    [
        (get_dbt_cloud_job_info, {"job_id": 9}, DbtCloudGetJobFailed, "Job 9 could not be retrieved. The requested resource was not found."),
        (delete_dbt_cloud_job, {"job_id": 9}, DbtCloudDeleteJobFailed, "Job 9 could not be deleted."),
        (trigger_dbt_cloud_job_run, {"job_id": 9}, DbtCloudJobRunTriggerFailed, "A run of job 9 could not be triggered."),
        (get_dbt_cloud_run_info, {"run_id": 9}, DbtCloudGetRunFailed, "Run 9 could not be retrieved."),
        (list_dbt_cloud_run_artifacts, {"run_id": 9}, DbtCloudListRunArtifactsFailed, "The artifacts of run 9 could not be listed."),
        (
            get_dbt_cloud_run_artifact,
            {"run_id": 9, "path": "x.json"},
            DbtCloudGetRunArtifactFailed,
            "The artifact 'x.json' of run 9 could",
        ),
    ],
)
def test_what_is_not_there_is_told_at_once(cloud, credentials, call, options, error, text):
    with pytest.raises(error, match=re.escape(text)):
        in_flow(call, dbt_cloud_credentials=credentials, **options)
    assert len(cloud.asked) == 1  # trying again would not help


def test_a_wrong_key_is_told_without_the_key(cloud):
    wrong = DbtCloudCredentials(api_key="some-other-key", account_id=42, domain=cloud.domain)
    with pytest.raises(DbtCloudGetJobFailed, match=r"Invalid token\. Check the api_key") as caught:
        in_flow(get_dbt_cloud_job_info, dbt_cloud_credentials=wrong, job_id=1)
    assert "some-other-key" not in str(caught.value)


def test_reading_is_tried_again_and_triggering_only_if_nothing_was_done(cloud, credentials):
    quick = {"retry_delay_seconds": 0}
    cloud.refusals = [503, 429]
    assert in_flow(get_dbt_cloud_job_info.with_options(**quick), dbt_cloud_credentials=credentials, job_id=1)["id"] == 1
    assert len(cloud.asked) == 3
    trigger = trigger_dbt_cloud_job_run.with_options(**quick)
    cloud.refusals = [429]
    assert in_flow(trigger, dbt_cloud_credentials=credentials, job_id=1)["id"] == 100
    cloud.refusals = [503]
    with pytest.raises(DbtCloudJobRunTriggerFailed, match="Out of order"):
        in_flow(trigger, dbt_cloud_credentials=credentials, job_id=1)
    cloud.refusals = [500]
    with pytest.raises(DbtCloudCreateJobFailed, match="Job 'x' could not be created"):
        in_flow(create_dbt_cloud_job, dbt_cloud_credentials=credentials, project_id=7, environment_id=8, name="x")
    nobody = credentials.model_copy(update={"domain": "http://127.0.0.1:9"})
    with pytest.raises(DbtCloudGetRunFailed, match="dbt Cloud did not answer at 127.0.0.1: ConnectError"):
        in_flow(get_dbt_cloud_run_info.with_options(**quick), dbt_cloud_credentials=nobody, run_id=1)


def test_what_is_not_dbt_cloud_is_told(cloud, credentials):
    cloud.page = "<html>Log in to the proxy</html>"
    in_vain = get_dbt_cloud_run_info.with_options(retries=0)
    with pytest.raises(DbtCloudGetRunFailed, match=r"What answered at 127\.0\.0\.1 is not the API of dbt Cloud\. Check the domain"):
        in_flow(in_vain, dbt_cloud_credentials=credentials, run_id=1)


def test_a_server_that_hangs_is_given_up_as_the_credentials_say(cloud, credentials):
    cloud.hangs = True
    hasty = credentials.model_copy(update={"request_timeout_seconds": 0.2})
    with pytest.raises(DbtCloudGetJobFailed, match=r"dbt Cloud did not answer at 127\.0\.0\.1: ReadTimeout"):
        in_flow(get_dbt_cloud_job_info.with_options(retries=0), dbt_cloud_credentials=hasty, job_id=1)
    with pytest.raises(DbtCloudJobRunTriggerFailed, match="ReadTimeout"):  # it may have begun: never sent again
        in_flow(trigger_dbt_cloud_job_run.with_options(retry_delay_seconds=0), dbt_cloud_credentials=hasty, job_id=1)
    assert [path for method, path, _, _ in cloud.asked if method == "POST"] == ["/api/v2/accounts/42/jobs/1/run/"]
    with hasty.get_metadata_client() as client, pytest.raises(httpx.ReadTimeout):
        client.query("{ jobs }")


def test_messages_are_taken_from_answers():
    def error(content: Any) -> httpx.HTTPStatusError:
        request = httpx.Request("GET", "https://x")
        return httpx.HTTPStatusError("", request=request, response=httpx.Response(400, json=content))

    told = error({"status": {"user_message": "for you", "developer_message": "for them"}})
    assert (extract_user_message(told), extract_developer_message(told)) == ("for you", "for them")
    assert extract_user_message(error([])) is None
    assert extract_developer_message(error({"status": {}})) is None


# --- jobs and flows -----------------------------------------------------------------------------------------------------

QUICK = {"interval_seconds": 0}


def test_a_job_is_triggered_waited_for_and_gives_its_result(cloud, credentials):
    cloud.courses = [[1, 3, 10]]
    job = DbtCloudJob(dbt_cloud_credentials=credentials, job_id=1, **QUICK)
    assert job.get_job()["name"] == "nightly"
    run = job.trigger(TriggerJobRunOptions(threads_override=8))
    assert run.get_status_code() == 1
    with pytest.raises(DbtCloudJobRunIncomplete, match=r"has not ended yet \(status 3\)"):
        run.fetch_result()
    run.wait_for_completion()
    assert run.fetch_result()["artifact_paths"] == ["log.txt", "manifest.json", "run_results.json"]
    assert run.get_run_artifacts("manifest.json") == {"nodes": {}}
    assert run.get_run()["id"] == run.run_id
    assert cloud.triggered()[0]["threads_override"] == 8

    async def awaited() -> Any:
        run = await job.trigger()
        await run.wait_for_completion()
        return await run.fetch_result(step=1)

    assert asyncio.run(awaited())["status"] == 10


def test_a_job_in_a_flow_retries_what_failed(cloud, credentials, seen):
    cloud.courses = [[3, 20], [3, 20], [10]]
    DbtCloudJob(dbt_cloud_credentials=credentials, job_id=1, **QUICK).save("nightly")

    @flow
    def nightly() -> Any:
        return run_dbt_cloud_job(dbt_cloud_job=DbtCloudJob.load("nightly"), targeted_retries=2)

    assert nightly()["id"] == 102
    whole, first, second = cloud.triggered()
    assert "steps_override" not in whole
    retried = ["dbt build --threads 4 --full-refresh --select orders not_null_orders_id", "dbt docs generate"]
    assert first["steps_override"] == second["steps_override"] == retried
    assert sum(name.startswith("Trigger dbt Cloud job run") for name in seen.states()) == 3


def test_the_documented_async_example_runs(cloud, credentials):
    DbtCloudJob(dbt_cloud_credentials=credentials, job_id=1, **QUICK).save("nightly")

    @flow
    async def run_dbt_job_flow() -> Any:
        result = await run_dbt_cloud_job(dbt_cloud_job=await DbtCloudJob.load("nightly"), targeted_retries=0)
        return await result

    assert asyncio.run(run_dbt_job_flow())["status"] == 10


def test_a_run_that_fails_to_the_end_or_is_cancelled_raises(cloud, credentials):
    call = {"dbt_cloud_credentials": credentials, "job_id": 1, "poll_frequency_seconds": 0}
    cloud.courses = [[20], [20]]
    with pytest.raises(DbtCloudJobRunFailed, match="job run with ID 101 failed. See https://cloud/runs/101"):
        in_flow(trigger_dbt_cloud_job_run_and_wait_for_completion, **call, retry_filtered_models_attempts=1)
    cloud.courses = [[30]]
    with pytest.raises(DbtCloudJobRunCancelled, match="102 was cancelled"):
        asyncio.run(trigger_dbt_cloud_job_run_and_wait_for_completion(**call))
    cloud.courses = [[3]]
    with pytest.raises(DbtCloudJobRunTimedOut, match="Max wait time of 0 seconds exceeded while waiting for job run with ID 103"):
        in_flow(trigger_dbt_cloud_job_run_and_wait_for_completion, **call, max_wait_seconds=0)


def test_a_subset_is_retried(cloud, credentials):
    cloud.courses = [[20], [10]]
    in_flow(trigger_dbt_cloud_job_run, dbt_cloud_credentials=credentials, job_id=1)
    call = {"dbt_cloud_credentials": credentials, "run_id": 100, "poll_frequency_seconds": 0}
    with pytest.raises(ValueError, match="Do not set `steps_override`"):
        in_flow(
            retry_dbt_cloud_job_run_subset_and_wait_for_completion,
            **call,
            trigger_job_run_options=TriggerJobRunOptions(steps_override=["dbt seed"]),
        )
    cloud.artifacts.pop("run_results.json")
    assert in_flow(retry_dbt_cloud_job_run_subset_and_wait_for_completion, **call)["id"] == 101
    assert cloud.triggered()[1]["steps_override"][0] == "dbt build --select tag:x --exclude y --threads 4 --full-refresh"


def test_a_run_block_retries_its_failed_steps(cloud, credentials):
    cloud.courses = [[20], [10]]
    cloud.steps = cloud.steps[:1]
    run = DbtCloudJob(dbt_cloud_credentials=credentials, job_id=1, **QUICK).trigger()
    again = run.retry_failed_steps()
    assert again.run_id == 101
    assert "steps_override" not in cloud.triggered()[1]  # no command of dbt failed, so the job is repeated


def test_a_short_trouble_does_not_end_the_waiting(cloud, credentials, headrace_caplog):
    cloud.courses = [[3, 10]]
    in_flow(trigger_dbt_cloud_job_run, dbt_cloud_credentials=credentials, job_id=1)
    cloud.refusals = [502, 503]
    status, _ = in_flow(wait_for_dbt_cloud_job_run, run_id=100, dbt_cloud_credentials=credentials, poll_frequency_seconds=0)
    assert status is DbtCloudJobRunStatus.SUCCESS
    assert [text for text in headrace_caplog.messages if text.endswith("has status RUNNING.")]


def test_a_run_that_takes_long_is_reported_to_go_on(cloud, credentials, headrace_caplog, monkeypatch):
    monkeypatch.setattr(runs, "FIRST_REPORT_SECONDS", 0.0)
    cloud.courses = [[1, 3, 3, 10]]
    in_flow(trigger_dbt_cloud_job_run, dbt_cloud_credentials=credentials, job_id=1)
    in_flow(wait_for_dbt_cloud_job_run, run_id=100, dbt_cloud_credentials=credentials, poll_frequency_seconds=0)
    assert [text for text in headrace_caplog.messages if text == "dbt Cloud job run with ID 100 has not ended after 0 seconds."]


def test_selections_are_taken_out_of_commands():
    words = ["dbt", "build", "-s", "a", "b", "--exclude=c", "--vars", "{x: 1}", "--select", "d", "--fail-fast"]
    assert without_selection(words) == ["dbt", "build", "--vars", "{x: 1}", "--fail-fast"]


def test_the_cause_tells_which_run_it_was():
    assert TriggerJobRunOptions().cause == "Triggered via headrace"
    assert DbtCloudJobRunStatus.is_terminal_status_code(20)
    assert not DbtCloudJobRunStatus.is_terminal_status_code("3")
