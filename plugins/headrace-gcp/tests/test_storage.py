"""What buckets have beyond the contract: data frames, listings, tasks, steps, bundles, and errors as users see them."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas
import pytest
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from headrace import flow
from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreError, TransferStopped
from headrace_gcp import GcpCredentials, GcsBucket
from headrace_gcp.bundles.upload import upload_bundle_to_gcs
from headrace_gcp.cloud_storage import (
    DataFrameSerializationFormat,
    acloud_storage_download_blob_as_bytes,
    acloud_storage_upload_blob_from_string,
    cloud_storage_copy_blob,
    cloud_storage_create_bucket,
    cloud_storage_download_blob_as_bytes,
    cloud_storage_download_blob_to_file,
    cloud_storage_upload_blob_from_file,
    cloud_storage_upload_blob_from_string,
)
from headrace_gcp.deployments.steps import pull_from_gcs, push_to_gcs
from headrace_gcp.storage_parts import PART_BYTES, download_parts

from .cloud_run_server import wait_until
from .processes import python

FRAME = pandas.DataFrame({"name": ["Marvin", "Ford"], "age": [37, 42]})

# --- the block


def test_a_folder_ends_in_a_slash():
    assert GcsBucket(bucket="b", bucket_folder="a/b").basepath == "a/b/"
    assert GcsBucket(bucket="b").basepath == ""


def test_blobs_and_folders_are_listed(bucket: GcsBucket):
    for path in ("top.txt", "years/2025/jan/a.csv", "years/2026/b.csv", "yearsago/c.csv"):
        bucket.write_path(path, b"1")
    assert sorted(blob.name for blob in bucket.list_blobs("years")) == ["base/years/2025/jan/a.csv", "base/years/2026/b.csv"]
    assert bucket.list_folders("years") == ["base/years", "base/years/2025", "base/years/2025/jan", "base/years/2026"]
    assert asyncio.run(bucket.alist_folders())[:2] == ["base", "base/years"]
    assert bucket.list_folders("nowhere") == []


@pytest.mark.parametrize(
    ("how", "path", "key"),
    [
        ("csv", "data", "base/data.csv"),
        ("CSV_GZIP", "data.csv", "base/data.csv.gz"),
        ("parquet", "v1.2/data.csv.gz", "base/v1.2/data.parquet"),
        (DataFrameSerializationFormat.PARQUET_SNAPPY, "data.txt", "base/data.snappy.parquet"),
        ("parquet_gzip", ".hidden", "base/.hidden.gz.parquet"),
    ],
)
def test_frames_are_stored_in_their_format(bucket: GcsBucket, how: Any, path: str, key: str):
    assert bucket.upload_from_dataframe(FRAME, path, how) == key
    content = bucket.read_path(f"/{key}")
    read = pandas.read_parquet if key.endswith("parquet") else pandas.read_csv
    found = read(BytesIO(gzip.decompress(content) if key.endswith(".csv.gz") else content))
    assert found.equals(FRAME)
    kind = bucket.get_bucket().get_blob(key).content_type
    assert kind == {".csv": "text/csv", ".gz": "application/x-gzip"}.get(Path(key).suffix, "application/octet-stream")


def test_another_format_is_refused_with_the_list(bucket: GcsBucket):
    with pytest.raises(ValueError, match="no format 'json' for data frames. There are csv, csv_gzip, parquet"):
        bucket.upload_from_dataframe(FRAME, "x", "json")


def test_types_are_guessed_from_names(bucket: GcsBucket):
    bucket.write_path("page.html", b"<html>")
    bucket.write_path("packed.csv.gz", b"1")
    found = bucket.get_bucket()
    assert found.get_blob("base/page.html").content_type == "text/html"
    assert found.get_blob("base/packed.csv.gz").content_type == "application/octet-stream"


def test_what_is_stored_packed_is_read_unpacked(bucket: GcsBucket, tmp_path: Path):
    blob = bucket.get_bucket().blob("base/packed.txt")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b"plain" * 1000))
    assert bucket.read_path("packed.txt") == b"plain" * 1000
    assert bucket.download_object_to_path("packed.txt", tmp_path / "x").read_bytes() == b"plain" * 1000


def test_a_reader_that_stops_early_leaves_no_thread(bucket: GcsBucket):
    import threading

    bucket.write_path("big", b"x" * (24 * 1024 * 1024))
    pieces = bucket.driver.read("base/big")
    assert len(next(pieces)) > 0
    pieces.close()
    for thread in threading.enumerate():
        if thread.name == "headrace-gcs-read":
            thread.join(10)
            assert not thread.is_alive()


def test_a_large_object_comes_in_parts(bucket: GcsBucket, tmp_path: Path):
    size, moved = 2 * PART_BYTES + 1, []
    content = random.Random(1).randbytes(size)
    bucket.write_path("large", content)
    assert bucket.driver.download("base/large", tmp_path / "parts", moved.append)
    assert sum(moved) == size
    assert (tmp_path / "parts").read_bytes() == content
    assert bucket.download_object_to_path("large", tmp_path / "whole").read_bytes() == content

    def stop(size: int) -> None:
        raise TransferStopped("enough")

    with pytest.raises(TransferStopped, match="enough"):
        bucket.driver.download("base/large", tmp_path / "stopped", stop)
    blob = bucket.get_bucket().get_blob("base/large")
    blob._properties["crc32c"] = "AAAAAA=="  # as if what came were not what is stored
    with pytest.raises(DataCorruption, match="was damaged on the way"):
        download_parts(blob, tmp_path / "damaged", moved.append, {})


# --- what goes wrong


def test_a_missing_bucket_is_told_apart_from_a_missing_object(bucket: GcsBucket, tmp_path: Path):
    with pytest.raises(ObjectNotFound, match="There is no object 'base/x' in gs://bucket-"):
        bucket.read_path("x")
    nowhere = GcsBucket(bucket="no-such-bucket", gcp_credentials=bucket.gcp_credentials)
    for attempt in (
        lambda: nowhere.read_path("x"),
        lambda: nowhere.write_path("x", b"1"),
        lambda: nowhere.list_paths(),
        lambda: nowhere.get_bucket(),
    ):
        with pytest.raises(ObjectStoreError, match="There is no bucket gs://no-such-bucket"):
            attempt()


def test_a_service_that_hangs_is_given_up(credentials: GcpCredentials, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"storage": f"http://127.0.0.1:{silent.getsockname()[1]}"}))
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_REQUEST_TIMEOUT_SECONDS", "1")
        bucket = GcsBucket(bucket="a-bucket", gcp_credentials=credentials)
        for attempt in (lambda: bucket.read_path("x"), lambda: bucket.write_path("x", b"1")):
            with pytest.raises(ObjectStoreError, match="gs://a-bucket did not answer in time"):
                attempt()

        @flow
        def hanging() -> bytes:
            retry = DEFAULT_RETRY.with_timeout(0.5).with_delay(initial=0.1, maximum=0.1)
            return cloud_storage_download_blob_as_bytes("a-bucket", "x", credentials, timeout=0.2, retry=retry)

        with pytest.raises(ObjectStoreError, match="gs://a-bucket did not answer in time"):
            hanging()


# --- tasks


def test_tasks_move_single_objects(bucket: GcsBucket, tmp_path: Path):
    credentials, name = bucket.gcp_credentials, bucket.bucket
    (tmp_path / "local.txt").write_text("from a file")

    @flow
    def work() -> None:
        other = cloud_storage_create_bucket(f"{name}-other", credentials, location="EU")
        assert cloud_storage_upload_blob_from_string("text", name, "a/one.txt", credentials) == "a/one.txt"
        assert cloud_storage_upload_blob_from_file(tmp_path / "local.txt", name, "two", credentials, content_type="text/x-two") == "two"
        stream = BytesIO(b"streamed")
        stream.read()
        assert cloud_storage_upload_blob_from_file(stream, name, "three", credentials) == "three"
        assert cloud_storage_copy_blob(name, other, "two", credentials) == "two"
        assert cloud_storage_copy_blob(name, other, "two", credentials, dest_blob="copy") == "copy"
        assert cloud_storage_download_blob_as_bytes(other, "copy", credentials) == b"from a file"
        assert cloud_storage_download_blob_as_bytes(name, "three", credentials, chunk_size=256 * 1024) == b"streamed"
        assert cloud_storage_download_blob_to_file(name, "a/one.txt", tmp_path, credentials) == tmp_path / "a" / "one.txt"
        assert cloud_storage_download_blob_to_file(name, "a/one.txt", str(tmp_path / "here"), credentials) == str(tmp_path / "here")
        assert (tmp_path / "here").read_text() == (tmp_path / "a" / "one.txt").read_text() == "text"
        with pytest.raises(ObjectNotFound, match="There is no object 'missing'"):
            cloud_storage_download_blob_as_bytes(name, "missing", credentials)

    work()


def test_a_long_transfer_tells_how_far_it_is(bucket: GcsBucket, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "film.mp4").write_bytes(b"x" * 2**20)

    class Slow(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            wait_until(lambda: " 2 MiB in " in caplog.text or not found)
            return found

    @flow
    def work() -> None:
        cloud_storage_upload_blob_from_file(Slow(b"x" * 2**21), bucket.bucket, "slow", bucket.gcp_credentials)
        cloud_storage_upload_blob_from_file(tmp_path / "film.mp4", bucket.bucket, "film", bucket.gcp_credentials)

    work()
    assert "Uploaded 2 MiB in 5 seconds so far." in caplog.text
    assert bucket.get_bucket().get_blob("film").content_type == "video/mp4"


def test_async_flows_await_the_twins(bucket: GcsBucket):
    @flow
    async def work() -> bytes:
        await acloud_storage_upload_blob_from_string(b"bytes", bucket.bucket, "x", bucket.gcp_credentials)
        return await acloud_storage_download_blob_as_bytes(bucket.bucket, "x", bucket.gcp_credentials)

    assert asyncio.run(work()) == b"bytes"
    assert acloud_storage_download_blob_as_bytes.name == "acloud_storage_download_blob_as_bytes"


# --- steps


@pytest.mark.parametrize("ignore_file", [".headraceignore", ".prefectignore"])
def test_a_project_is_pushed_and_pulled(bucket: GcsBucket, info: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignore_file: str):
    for name, text in {"flow.py": "code", "sub/mod.py": "module", "noise.log": "x", ignore_file: "*.log\n"}.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    given: dict[str, Any] = {"service_account_info": info}
    assert push_to_gcs(bucket.bucket, "project", credentials=given) == {"bucket": bucket.bucket, "folder": "project"}
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    pulled = pull_from_gcs(bucket.bucket, "project", project="project-one", credentials=GcpCredentials(service_account_info=info))
    assert pulled == {"bucket": bucket.bucket, "folder": "project", "directory": str(tmp_path / "there")}
    found = sorted(path.relative_to(Path.cwd()).as_posix() for path in Path.cwd().rglob("*") if path.is_file())
    assert found == sorted([ignore_file, "flow.py", "sub/mod.py"])


def test_another_ignore_file_may_be_missing(bucket: GcsBucket, info: dict[str, Any]):
    Path("flow.py").write_text("code")
    push_to_gcs(bucket.bucket, "", credentials={"service_account_info": info}, ignore_file="nothing-here")
    assert bucket.read_path("/flow.py") == b"code"


def test_a_missing_project_is_not_found(bucket: GcsBucket, info: dict[str, Any]):
    with pytest.raises(ObjectNotFound, match="nowhere"):
        pull_from_gcs(bucket.bucket, "nowhere", credentials={"service_account_info": info})


# --- bundles


def test_a_missing_bundle_is_a_value_error():
    with pytest.raises(ValueError, match="there is no such file"):
        upload_bundle_to_gcs(Path("missing"), "bucket", "key")


def test_a_command_that_fails_says_why_in_one_line(bucket: GcsBucket):
    bucket.gcp_credentials.save("login")
    done = python("-m", "headrace_gcp.bundles.execute", "--bucket", bucket.bucket, "--gcp-credentials-block-name", "login", "--key", "missing")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ObjectNotFound: There is no object 'missing' in gs://bucket-")
