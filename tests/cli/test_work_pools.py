"""`headrace work-pool`, `headrace work-queue` and `headrace worker`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace._experimental.bundles import convert_step_to_command
from headrace.cli.main import main
from headrace.client.orchestration import get_client
from headrace.settings import temporary_settings
from headrace.testing.server import running_server


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command and return what it prints as JSON."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        assert main([*arguments, "-o", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_a_pool_is_created_shown_changed_and_deleted(shown: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = shown("work-pool", "create", "p", "--type", "process")
    assert made["type"] == "process"
    assert "stream_output" in made["base_job_template"]["job_configuration"]
    assert main(["work-pool", "create", "p", "--type", "process", "-o", "json"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "already exists" in said.err
    assert shown("work-pool", "create", "p", "--type", "process", "--paused", "--overwrite")["is_paused"] is True
    assert main(["work-pool", "resume", "p"]) == 0
    assert shown("work-pool", "inspect", "p")["is_paused"] is False
    assert main(["work-pool", "pause", "p"]) == 0
    assert shown("work-pools", "ls")[0]["is_paused"] is True
    assert main(["work-pool", "set-concurrency-limit", "p", "3"]) == 0
    assert shown("work-pool", "inspect", "p")["concurrency_limit"] == 3
    assert main(["work-pool", "clear-concurrency-limit", "p"]) == 0
    assert shown("work-pool", "inspect", "p")["concurrency_limit"] is None
    assert shown("work-pool", "update", "p", "--description", "of mine", "--concurrency-limit", "2")["description"] == "of mine"
    assert main(["work-pool", "update", "p"]) == 2
    assert [queue["queue_name"] for queue in shown("work-pool", "slots", "p")["queues"]] == ["default"]
    template = tmp_path / "template.json"
    assert main(["work-pool", "get-default-base-job-template", "--type", "process", "--file", str(template)]) == 0
    assert main(["work-pool", "create", "q", "--type", "process", "--base-job-template", str(template)]) == 0
    assert main(["work-pool", "delete", "p"]) == 2
    assert main(["work-pool", "delete", "p", "--yes"]) == 0
    capsys.readouterr()
    assert main(["work-pool", "delete", "p", "--yes"]) == 4
    assert "Work pool 'p' not found!" in capsys.readouterr().err


def test_what_cannot_be_is_refused_with_the_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{")
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"job_configuration": {"command": "{{ nothing }}"}, "variables": {"properties": {"a": {}}}}))
    for arguments, code, reason in (
        (["work-pool", "create", "p", "--type", "proces"], 1, "Did you mean 'process'"),
        (["work-pool", "create", "p", "--base-job-template", str(wrong)], 2, "cannot be read"),
        (["work-pool", "create", "p", "--base-job-template", str(broken)], 2, "nothing"),
        (["work-pool", "create", "a/b", "--type", "process"], 2, "a/b"),
        (["work-pool", "create", "p", "--provision-infrastructure"], 1, "hosted product"),
        (["work-pool", "provision-infra", "p"], 1, "hosted product"),
        (["work-pool", "inspect", "nope"], 4, "'nope' not found"),
        (["work-pool", "preview"], 2, "No work pool is named"),
        (["work-queue", "inspect", "nope", "-p", "nope"], 4, "Work pool 'nope' not found"),
    ):
        assert main(arguments) == code, arguments
        said = capsys.readouterr()
        assert reason in said.err, said
        assert "Traceback" not in said.err


def test_a_queue_is_created_shown_changed_and_deleted(shown: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown("work-pool", "create", "p", "--type", "process")
    made = shown("work-queue", "create", "high", "-p", "p", "--limit", "2", "--priority", "1")
    assert (made["concurrency_limit"], made["priority"]) == (2, 1)
    assert main(["work-queue", "create", "high", "-p", "p"]) == 1
    assert [queue["name"] for queue in shown("work-queue", "ls", "-p", "p")] == ["high", "default"]
    assert [queue["name"] for queue in shown("work-queue", "ls", "-m", "hi")] == ["high"]
    for command in (["pause", "high"], ["set-concurrency-limit", "high", "5"]):
        assert main(["work-queue", *command, "-p", "p"]) == 0
    changed = shown("work-queue", "inspect", "high", "-p", "p")
    assert (changed["is_paused"], changed["concurrency_limit"]) == (True, 5)
    for command in (["resume", made["id"]], ["clear-concurrency-limit", "high", "-p", "p"]):
        assert main(["work-queue", *command]) == 0
    changed = shown("work-queue", "inspect", made["id"])
    assert (changed["is_paused"], changed["concurrency_limit"]) == (False, None)
    assert shown("work-queue", "slots", "high", "-p", "p")["active_slots"] == 0
    assert main(["work-queue", "delete", "high", "-p", "p"]) == 2
    assert main(["work-queue", "delete", "high", "-p", "p", "--yes"]) == 0
    assert main(["work-queue", "inspect", "high", "-p", "p"]) == 4


def test_runs_to_come_are_previewed_and_read(shown: Any) -> None:
    shown("work-pool", "create", "p", "--type", "process")
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(flow_id=client.create_flow_from_name("f"), name="d", work_pool_name="p")
        run = client.create_flow_run_from_deployment(deployment)
    assert [one["id"] for one in shown("work-pool", "preview", "p")] == [str(run.id)]
    assert [one["id"] for one in shown("work-queue", "preview", "default", "-p", "p")] == [str(run.id)]
    with temporary_settings({"HEADRACE_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME": "p"}):
        assert [one["id"] for one in shown("work-pool", "preview", "-h", "2")] == [str(run.id)]


def test_where_bundles_are_kept_is_chosen(shown: Any, tmp_path: Path) -> None:
    shown("work-pool", "create", "p", "--type", "process")
    assert shown("work-pool", "storage", "inspect", "p")["bundle_upload_step"] is None
    assert main(["work-pool", "storage", "configure", "local", "p", "--folder", str(tmp_path)]) == 0
    assert str(tmp_path) in json.dumps(shown("work-pool", "storage", "inspect", "p"))
    assert main(["work-pool", "storage", "configure", "s3", "p", "--bucket", "b", "--aws-credentials-block-name", "c"]) == 0
    (step,) = shown("work-pool", "storage", "inspect", "p")["bundle_upload_step"].items()
    assert step == ("headrace_aws.experimental.bundles.upload", {"aws_credentials_block_name": "c", "bucket": "b", "requires": "headrace-aws"})
    words = ["--launcher", "python", "--execution-launcher", "poetry", "--execution-launcher-arg", "run", "--execution-launcher-arg", "python"]
    assert main(["work-pool", "storage", "configure", "gcs", "p", "--bucket", "b", *words]) == 0
    stored = shown("work-pool", "storage", "inspect", "p")
    assert stored["bundle_upload_step"]["headrace_gcp.experimental.bundles.upload"]["launcher"] == ["python"]
    ran = convert_step_to_command(stored["bundle_execution_step"], "k")
    assert ran == ["poetry", "run", "python", "-m", "headrace_gcp.experimental.bundles.execute", "--bucket", "b", "--key", "k"]
    assert main(["work-pool", "storage", "configure", "local", "p", "--folder", str(tmp_path), "--launcher-arg", "-X"]) == 1


def test_bundles_in_azure_bring_the_extra_and_take_a_block(shown: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown("work-pool", "create", "p", "--type", "process")
    words = ["work-pool", "storage", "configure", "azure-blob-storage", "p", "--container", "c"]
    assert main(words) == 2
    assert "--azure-blob-storage-credentials-block-name" in capsys.readouterr().err
    assert main([*words, "--azure-blob-storage-credentials-block-name", "b"]) == 0
    ran = convert_step_to_command(shown("work-pool", "storage", "inspect", "p")["bundle_upload_step"], "k")
    assert ran[:6] == ["uv", "run", "--with", "headrace-azure[blob_storage]", "python", "-m"]
    assert ran[7:] == ["--azure-blob-storage-credentials-block-name", "b", "--container", "c", "--key", "k"]


def test_a_worker_that_cannot_be_is_refused_with_the_reason(shown: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "start", "-p", "p"]) == 1
    assert "headrace server start" in capsys.readouterr().err
    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        shown("work-pool", "create", "p", "--type", "process")
        for arguments, code, reason in (
            (["-p", "p", "-t", "docker"], 1, "is of type 'process'"),
            (["-p", "new", "-t", "nosuch"], 1, "process"),
            (["-p", "new", "-t", "kubernetes", "--install-policy", "never"], 1, "pip install headrace-kubernetes"),
            (["-p", "p", "--limit", "0"], 2, "limit"),
            (["-p", "p", "--name", "a/b"], 2, "a/b"),
            ([], 2, "No work pool is named"),
            (["-p", "new", "--no-create-pool-if-not-found"], 4, "'new' not found"),
        ):
            assert main(["worker", "start", *arguments]) == code, arguments
            assert reason in capsys.readouterr().err


@pytest.mark.parametrize(("policy", "installs"), [("always", True), ("if-not-present", True), ("prompt", False), ("never", False)])
def test_a_missing_type_of_worker_is_installed_as_the_policy_says(
    policy: str, installs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an installer of our own that says what it is told, and fails."""
    told = tmp_path / "told"
    (tmp_path / "uv").write_text(f'#!/bin/sh\necho "$@" > {told}\necho "no such package" >&2\nexit 1\n')
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setitem(sys.modules, "pip", None)  # an installation without pip
    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        assert main(["worker", "start", "-p", "new", "-t", "kubernetes", "--install-policy", policy]) == 1
    printed = capsys.readouterr().err
    assert told.exists() == installs
    if installs:
        assert told.read_text().split()[-2:] == ["--upgrade", "headrace-kubernetes"]
        assert "headrace-kubernetes could not be installed" in printed and "no such package" in printed
    assert "pip install headrace-kubernetes" in printed
