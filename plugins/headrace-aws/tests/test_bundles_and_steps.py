"""Steps that keep code in S3, and bundles that are kept there and run from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from headrace import flow
from headrace._experimental.bundles import create_bundle_for_flow_run
from headrace.blocks.object_stores import ObjectNotFound
from headrace.client.orchestration import get_client
from headrace.states import Pending
from headrace_aws import AwsCredentials, S3Bucket
from headrace_aws.bundles.execute import download_bundle_from_s3, execute_bundle_from_s3
from headrace_aws.bundles.upload import upload_bundle_to_s3
from headrace_aws.deployments.steps import pull_from_s3, push_to_s3


@flow
def write_a_file() -> str:
    Path("written").write_text("by the bundle")
    return "done"


@pytest.fixture
def bucket(credentials: AwsCredentials, make_bucket: Callable[[], str]) -> S3Bucket:
    credentials.save("for-bundles", overwrite=True)
    return S3Bucket(bucket_name=make_bucket(), credentials=credentials)


# --- steps


def test_a_project_is_pushed_and_pulled(bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("flows").mkdir()
    Path("flows/a.py").write_text("A")
    Path("notes.log").write_text("not pushed")
    Path(".headraceignore").write_text("*.log\n.headraceignore\n")
    given = bucket.credentials.model_dump(context={"include_secrets": True})
    pushed = push_to_s3(bucket.bucket_name, "project", given)
    assert pushed == {"bucket": bucket.bucket_name, "folder": "project"}
    assert bucket.list_paths() == ["project/flows/a.py"]

    bucket.write_path("project-two/other", b"")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pulled = pull_from_s3(bucket.bucket_name, "project", given)
    assert pulled == {"bucket": bucket.bucket_name, "folder": "project", "directory": str(tmp_path / "elsewhere")}
    assert [str(path.relative_to(tmp_path / "elsewhere")) for path in sorted(Path.cwd().rglob("*.*"))] == ["flows/a.py"]


def test_an_ignore_file_that_is_not_there_ignores_nothing(bucket: S3Bucket, moto: str) -> None:
    Path("a").write_text("A")
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    push_to_s3(bucket.bucket_name, "p", keys, {"endpoint_url": moto}, ignore_file="no-such-file")
    assert bucket.list_paths() == ["p/a"]


def test_pulling_what_is_not_there_says_so(bucket: S3Bucket) -> None:
    with pytest.raises(ObjectNotFound, match="nowhere"):
        pull_from_s3(bucket.bucket_name, "nowhere", bucket.credentials)


# --- bundles


def _bundle(path: Path, **more: object) -> UUID:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(write_a_file, state=Pending())
    path.write_text(json.dumps({**create_bundle_for_flow_run(write_a_file, run)["bundle"], **more}))
    return run.id


def test_a_bundle_is_kept_and_run(bucket: S3Bucket, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        archive.writestr("data/input.txt", "input")
    bucket.upload_from_path(tmp_path / "files.zip", "files.zip")
    run_id = _bundle(tmp_path / "bundle", files_key="files.zip")
    kept = upload_bundle_to_s3(str(tmp_path / "bundle"), bucket.bucket_name, "", "for-bundles")
    assert kept == {"bucket": bucket.bucket_name, "key": "bundle", "url": f"s3://{bucket.bucket_name}/bundle"}

    execute_bundle_from_s3(bucket.bucket_name, "bundle", "for-bundles")
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    assert state is not None
    assert state.is_completed()
    assert Path("written").read_text() == "by the bundle"
    assert Path("data/input.txt").read_text() == "input"


def test_a_bundle_is_downloaded(bucket: S3Bucket, tmp_path: Path) -> None:
    bucket.write_path("deep/key", b"{}")
    found = download_bundle_from_s3(bucket.bucket_name, "deep/key", str(tmp_path / "out"), "for-bundles")
    assert Path(found["local_path"]).read_bytes() == b"{}"
    assert Path(found["local_path"]).parent == tmp_path / "out"


def test_what_cannot_be_uploaded_says_why(bucket: S3Bucket, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        upload_bundle_to_s3("missing", bucket.bucket_name, "k", "for-bundles")
    (tmp_path / "b").touch()
    with pytest.raises(RuntimeError, match="no bucket 'none-such'"):
        upload_bundle_to_s3(str(tmp_path / "b"), "none-such", "k", "for-bundles")


@pytest.mark.parametrize("package", ["headrace_aws.bundles", "headrace_aws.experimental.bundles"])
def test_commands_end_with_one_line(bucket: S3Bucket, package: str, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("{}")
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": str(bucket.credentials.aws_client_parameters.endpoint_url)}

    def run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"{package}.{module}", "--bucket", bucket.bucket_name, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    assert run("upload", "--key", "k", str(tmp_path / "b")).returncode == 0
    assert bucket.exists("k")
    failed = run("execute", "--key", "missing")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "missing" in failed.stderr
