"""Deployments as objects, and what becomes of them on a server."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.git_server import git
from headrace import flow, serve
from headrace.client.orchestration import get_client
from headrace.client.schemas.actions import WorkPoolCreate
from headrace.deployments import DeploymentApplyError, EntrypointType, RunnerDeployment, deploy
from headrace.docker import DockerImage
from headrace.events import DeploymentEventTrigger
from headrace.exceptions import ConfigurationError, MissingFlowError, ObjectNotFound, ParameterTypeError, ScriptError, SignatureMismatchError
from headrace.flows import Flow
from headrace.model.deployments import ConcurrencyLimitConfig
from headrace.model.errors import PluginNotInstalled
from headrace.runner import Runner
from headrace.schedules import Cron
from headrace.utilities.annotations import freeze

CODE = '''
from headrace import flow

@flow
def report(region: str = "eu", days: int = 1):
    """Report on a region."""

def plain(): ...
'''

IMAGE_TEMPLATE = {"job_configuration": {"image": "{{ image }}"}, "variables": {"properties": {"image": {}}}}


@pytest.fixture
def report(tmp_path: Path) -> Flow[..., Any]:
    file = tmp_path / "reports.py"
    file.write_text(CODE)
    spec = importlib.util.spec_from_file_location("reports", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reports"] = module
    spec.loader.exec_module(module)
    return module.report


@pytest.fixture
def remote() -> Any:
    return get_client(sync_client=True)


# --- making one -----------------------------------------------------------------------------------------------------------------


def test_deployment_says_what_its_flow_says(report: Flow[..., Any]) -> None:
    made = report.to_deployment("daily", cron="0 9 * * *", parameters={"region": "us"}, tags=["a"])
    assert made.full_name == "report/daily"
    assert made.entrypoint == "reports.py:report"
    assert made.description == "Report on a region."
    assert made.version == report.version
    assert made.schedules is not None and len(made.schedules) == 1


def test_version_is_that_of_the_commit_it_is_deployed_from(
    report: Flow[..., Any], tmp_path: Path, api: str, remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_SHA", "CI_COMMIT_SHA", "BITBUCKET_COMMIT", "BUILD_SOURCEVERSION"):
        monkeypatch.delenv(name, raising=False)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    made = report.to_deployment("daily")
    assert made.version == commit[:8]
    assert report.to_deployment("daily", version="9").version == "9"
    assert report.to_deployment("daily", version_type="prefect:simple").version == report.version
    assert report.to_deployment("daily", version_type="vcs:gitlab").version == report.version
    with pytest.raises(ValueError, match="vcs:cvs"):
        report.to_deployment("daily", version_type="vcs:cvs")
    assert remote.read_deployment(made.apply()).version == commit[:8]


def test_documented_parameters_may_be_given_by_their_place(report: Flow[..., Any], api: str, remote: Any) -> None:
    made = report.to_deployment("hourly", 3600, None, None, True)
    assert made.schedules is not None and (made.paused, made.schedules[0].schedule.interval.total_seconds()) == (True, 3600)
    remote.create_work_pool(WorkPoolCreate(name="placed", type="process"))
    stored = remote.read_deployment(report.deploy("placed", "placed", None, False, False, None, {"stream_output": False}))
    assert (stored.work_pool_name, stored.job_variables) == ("placed", {"stream_output": False})
    made = RunnerDeployment.from_entrypoint("reports.py:report", "read", "renamed", None, "0 6 * * *", None, False, None, None, 2)
    assert made.schedules is not None and (made.full_name, made.schedules[0].schedule.cron) == ("renamed/read", "0 6 * * *")
    assert (made.paused, made.concurrency_limit) == (False, 2)
    stored = remote.read_deployment(Runner("by-place").add_flow(report, "added", None, None, None, True, None, None, 3, {"days": 4}))
    assert (stored.name, stored.paused, stored.parameters) == ("added", True, {"days": 4})


def test_entrypoint_may_be_that_of_a_module(report: Flow[..., Any]) -> None:
    made = report.to_deployment("daily", entrypoint_type=EntrypointType.MODULE_PATH)
    assert (made.entrypoint, made.entrypoint_type) == ("reports.report", EntrypointType.MODULE_PATH)


def test_name_of_a_file_is_its_stem(report: Flow[..., Any]) -> None:
    assert report.to_deployment("reports.py").name == "reports"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda flow: flow.to_deployment("a/b"), ValueError, "Invalid deployment name"),
        (lambda flow: flow.to_deployment("x", interval=1, cron="* * * * *"), ValueError, "given were interval and cron"),
        pytest.param(lambda flow: flow.to_deployment("x", cron="0 0 30 2 *"), ValueError, "never fires", marks=pytest.mark.needs_server),
        (lambda flow: flow.to_deployment("x", parameters={"regoin": 1}), SignatureMismatchError, "'region'"),
        (lambda flow: flow.to_deployment("x", parameters={"days": "many"}), ParameterTypeError, "'days'.*'many'"),
        (lambda flow: flow.to_deployment("x", tagz=["a"]), TypeError, "unexpected keyword argument 'tagz'"),
        (lambda flow: RunnerDeployment.from_flow(flow, "x", tagz=["a"]), TypeError, "unexpected keyword argument 'tagz'"),
        (lambda flow: flow.to_deployment("x", job_variables={"image": "a"}), ValueError, "work_pool_name"),
        (lambda flow: flow.to_deployment("x", concurrency_limit=0), ValueError, "concurrency_limit"),
    ],
)
def test_wrong_deployment_is_refused(report: Flow[..., Any], make: Callable[[Any], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make(report)


def test_flow_that_no_other_process_can_find_is_refused() -> None:
    @flow
    def inner() -> None: ...

    with pytest.raises(ValueError, match="inside a function"):
        inner.to_deployment("x")


@pytest.mark.parametrize(
    ("entrypoint", "error"),
    [
        ("nowhere.py:report", FileNotFoundError),
        ("reports.py:reprot", MissingFlowError),
        ("reports.py:plain", MissingFlowError),
        ("bad.py:f", ScriptError),
    ],
)
def test_wrong_entrypoint_is_refused(report: Flow[..., Any], tmp_path: Path, entrypoint: str, error: type[Exception]) -> None:
    (tmp_path / "bad.py").write_text("raise LookupError\n")
    with pytest.raises(error):
        RunnerDeployment.from_entrypoint(entrypoint, "x")


def test_everything_that_needs_a_server_says_so(report: Flow[..., Any]) -> None:
    made = report.to_deployment("x")
    for call in (made.apply, lambda: serve(made), lambda: report.serve("x"), lambda: deploy(made, work_pool_name="p")):
        with pytest.raises(ConfigurationError, match="headrace server start"):
            call()


async def in_a_loop(made: RunnerDeployment) -> None:
    serve(made)


def test_serve_refuses_an_event_loop(report: Flow[..., Any]) -> None:
    import asyncio

    with pytest.raises(RuntimeError, match="aserve"):
        asyncio.run(in_a_loop(report.to_deployment("x")))


# --- registering it -------------------------------------------------------------------------------------------------------------


def test_applying_again_changes_the_one_deployment(report: Flow[..., Any], api: str, remote: Any) -> None:
    first = report.to_deployment("twice", cron="0 9 * * *", parameters={"region": "us"}, concurrency_limit=2).apply()
    second = report.to_deployment("twice", schedule=Cron("0 10 * * *", slug="ten"), tags=["new"]).apply()
    assert first == second
    found = remote.read_deployment(first)
    assert [one.slug for one in found.schedules] == ["ten"]
    assert found.tags == ["new"]
    assert found.global_concurrency_limit.limit == 2


def test_limit_may_say_what_becomes_of_more_runs(report: Flow[..., Any], api: str, remote: Any) -> None:
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy="CANCEL_NEW", grace_period_seconds=90)
    found = remote.read_deployment(report.to_deployment("limited", concurrency_limit=limit).apply())
    assert found.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert found.concurrency_options.grace_period_seconds == 90


def test_frozen_parameter_is_read_only(report: Flow[..., Any], api: str, remote: Any) -> None:
    found = remote.read_deployment(report.to_deployment("frozen", parameters={"days": freeze(3)}).apply())
    assert found.parameters == {"days": 3}
    assert found.parameter_openapi_schema["properties"]["days"]["enum"] == [3]


def test_triggers_are_automations_that_are_replaced(report: Flow[..., Any], api: str, remote: Any) -> None:
    trigger = DeploymentEventTrigger(expect={"order.placed"}, parameters={"region": "us"})
    for _ in range(2):
        id = report.to_deployment("triggered", triggers=[trigger]).apply()
    found = remote.read_resource_related_automations(f"prefect.deployment.{id}")
    assert [one.name for one in found] == ["triggered__automation_1"]
    assert found[0].actions[0].deployment_id == id


def test_deploying_gives_workers_the_way_to_the_code(report: Flow[..., Any], api: str, remote: Any, tmp_path: Path, capsys: Any) -> None:
    remote.create_work_pool(WorkPoolCreate(name="here", type="process"))
    id = report.deploy("pooled", work_pool_name="here", job_variables={"env": {"A": "1"}})
    found = remote.read_deployment(id)
    assert found.work_pool_name == "here"
    assert found.job_variables == {"env": {"A": "1"}}
    assert found.pull_steps == [{"headrace.deployments.steps.set_working_directory": {"directory": str(tmp_path)}}]
    assert "headrace worker start --pool 'here'" in capsys.readouterr().out


def test_wrong_pools_and_images_are_refused_before_anything_is_registered(report: Flow[..., Any], api: str, remote: Any) -> None:
    remote.create_work_pool(WorkPoolCreate(name="plain-pool", type="process"))
    remote.create_work_pool(
        WorkPoolCreate(
            name="boxes", type="docker", base_job_template={"job_configuration": {"image": "{{ image }}"}, "variables": {"properties": {"image": {}}}}
        )
    )
    made = report.to_deployment("refused")
    with pytest.raises(ValueError, match="plain-pool"):
        deploy(made, work_pool_name="plain-pol")
    with pytest.raises(ValueError, match="does not support custom Docker images"):
        deploy(made, work_pool_name="plain-pool", image="a/b:1")
    with pytest.raises(ValueError, match="image or remote storage"):
        deploy(made, work_pool_name="boxes")
    with pytest.raises(PluginNotInstalled, match="headrace-docker"):
        deploy(made, work_pool_name="boxes", image="a/b:1")
    with pytest.raises(ValueError, match="Two deployments are called"):
        deploy(made, report.to_deployment("refused"), work_pool_name="plain-pool")
    with pytest.raises(ValueError, match="work_pool_name"):
        made.apply(image="a/b:1")
    with pytest.raises(ObjectNotFound):
        remote.read_deployment_by_name("report/refused")


def test_image_that_exists_is_used_without_building(report: Flow[..., Any], api: str, remote: Any) -> None:
    remote.create_work_pool(WorkPoolCreate(name="more-boxes", type="docker", base_job_template=IMAGE_TEMPLATE))
    id = report.deploy("boxed", work_pool_name="more-boxes", image="a/b:1", build=False, push=False)
    assert remote.read_deployment(id).job_variables["image"] == "a/b:1"


def test_what_the_server_refuses_is_told(report: Flow[..., Any], api: str) -> None:
    made = report.to_deployment("bad", schedules=[Cron("0 1 * * *", slug="s"), Cron("0 2 * * *", slug="s")])
    with pytest.raises(DeploymentApplyError, match="report/bad"):
        made.apply()


# --- images ---------------------------------------------------------------------------------------------------------------------


def test_image_has_one_tag() -> None:
    assert DockerImage("host:5000/a/b", tag="1").reference == "host:5000/a/b:1"
    assert DockerImage("a/b:2").reference == "a/b:2"
    assert DockerImage("a/b").tag
    with pytest.raises(ValueError, match="Only one tag"):
        DockerImage("a/b:2", tag="1")
    with pytest.raises(ValueError, match="buildx"):
        DockerImage("a/b", build_backend="kaniko")  # type: ignore[arg-type]  # the wrong one is what is tested
