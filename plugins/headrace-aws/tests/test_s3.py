"""S3Bucket and its tasks, against moto."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace import flow
from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreError
from headrace.testing import ObjectStoreContract
from headrace_aws import AwsCredentials, MinIOCredentials, S3Bucket
from headrace_aws import s3 as tasks
from headrace_aws.client_parameters import AwsClientParameters


class TestContract(ObjectStoreContract):
    @pytest.fixture
    def store(self, credentials: AwsCredentials, make_bucket: Callable[[], str]) -> Iterator[S3Bucket]:
        bucket = S3Bucket(bucket_name=make_bucket(), credentials=credentials, bucket_folder="base")
        yield bucket
        bucket.close()


@pytest.fixture
def bucket(credentials: AwsCredentials, make_bucket: Callable[[], str]) -> Iterator[S3Bucket]:
    made = S3Bucket(bucket_name=make_bucket(), credentials=credentials)
    yield made
    made.close()


# --- the block


def test_the_kind_of_credentials_is_kept_when_a_bucket_is_saved(moto: str) -> None:
    minio = MinIOCredentials(
        minio_root_user="testing", minio_root_password="testing-password", aws_client_parameters=AwsClientParameters(endpoint_url=moto)
    )
    S3Bucket(bucket_name="kept", credentials=minio).save("with-minio")
    S3Bucket(bucket_name="kept", credentials=AwsCredentials(region_name="eu-west-1")).save("with-aws")
    assert S3Bucket.load("with-minio").credentials == minio
    assert S3Bucket.load("with-aws").credentials == AwsCredentials(region_name="eu-west-1")


def test_minio_speaks_the_same_language(moto: str) -> None:
    minio = MinIOCredentials(minio_root_user="testing", minio_root_password="password", aws_client_parameters=AwsClientParameters(endpoint_url=moto))
    minio.get_s3_client().create_bucket(Bucket="of-minio")
    bucket = S3Bucket(bucket_name="of-minio", credentials=minio)
    bucket.write_path("a", b"1")
    assert bucket.read_path("a") == b"1"


def test_the_base_path_can_be_set(bucket: S3Bucket) -> None:
    bucket.basepath = "there"
    assert bucket.write_path("x", b"") == "there/x"
    assert bucket.bucket_folder == "there"


def test_listing_tells_what_s3_tells(bucket: S3Bucket) -> None:
    for path in ("in/a", "in/b", "in/deep/c", "inside"):
        bucket.write_path(path, b"x" * len(path))
    assert [one["Key"] for one in bucket.list_objects("in")] == ["in/a", "in/b", "in/deep/c"]
    assert [one["Key"] for one in bucket.list_objects("in", delimiter="/")] == ["in/a", "in/b"]
    assert len(bucket.list_objects(page_size=1, max_items=3)) == 3
    assert bucket.list_objects(jmespath_query="Contents[?Size > `5`].Key") == ["in/deep/c", "inside"]
    assert bucket.list_objects("empty", jmespath_query="Contents[].Key") == []


def test_options_reach_the_sdk(bucket: S3Bucket, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<p>")
    moved: list[int] = []
    bucket.upload_from_path(tmp_path / "page", "page", ExtraArgs={"ContentType": "text/html"}, Callback=moved.append)
    client = bucket.credentials.get_s3_client()
    assert client.head_object(Bucket=bucket.bucket_name, Key="page")["ContentType"] == "text/html"
    assert sum(moved) == 3
    bucket.copy_object("page", "copy", ContentType="text/plain", MetadataDirective="REPLACE")
    assert client.head_object(Bucket=bucket.bucket_name, Key="copy")["ContentType"] == "text/plain"


def test_an_object_streams_from_another_bucket(bucket: S3Bucket, credentials: AwsCredentials, make_bucket: Callable[[], str]) -> None:
    other = S3Bucket(bucket_name=make_bucket(), credentials=credentials, bucket_folder="landed")
    bucket.write_path("notes.txt", b"n" * 9_000_000)
    assert other.stream_from(bucket, "notes.txt") == "landed/notes.txt"
    assert other.read_path("notes.txt") == b"n" * 9_000_000


# --- what goes wrong


def test_a_missing_bucket_is_told_from_a_missing_object(bucket: S3Bucket, credentials: AwsCredentials) -> None:
    with pytest.raises(ObjectNotFound, match=r"no object s3://bucket-.*/nothing"):
        bucket.read_path("nothing")
    nowhere = S3Bucket(bucket_name="no-such-bucket", credentials=credentials)
    for call in (lambda: nowhere.read_path("x"), lambda: nowhere.exists("x"), lambda: nowhere.write_path("x", b""), lambda: nowhere.list_objects()):
        with pytest.raises(ObjectStoreError, match="no bucket 'no-such-bucket'"):
            call()


def test_missing_credentials_say_what_to_give(moto: str) -> None:
    nobody = AwsCredentials(region_name="us-east-1", aws_client_parameters=AwsClientParameters(endpoint_url=moto))
    with pytest.raises(ObjectStoreError, match="Give an access key in an AwsCredentials block"):
        S3Bucket(bucket_name="any", credentials=nobody).read_path("x")


def test_a_place_where_nothing_answers_is_told_soon() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        parameters = AwsClientParameters(endpoint_url=endpoint, config={"retries": {"total_max_attempts": 1}})
        credentials = AwsCredentials(
            aws_access_key_id="a", aws_secret_access_key="very-secret-key", region_name="us-east-1", aws_client_parameters=parameters
        )
        with pytest.raises(ObjectStoreError, match="Check the region and `endpoint_url`") as raised:
            S3Bucket(bucket_name="any", credentials=credentials).read_path("x")
    assert "very-secret-key" not in str(raised.value)


def test_a_service_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        parameters = AwsClientParameters(
            endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}", config={"read_timeout": 0.2, "retries": {"total_max_attempts": 1}}
        )
        credentials = AwsCredentials(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1", aws_client_parameters=parameters)
        with pytest.raises(ObjectStoreError, match="read_timeout"):
            S3Bucket(bucket_name="any", credentials=credentials).write_path("x", b"")


# --- tasks


def test_objects_go_up_and_down_in_a_flow(credentials: AwsCredentials, make_bucket: Callable[[], str]) -> None:
    bucket, other = make_bucket(), make_bucket()

    @flow
    def work() -> tuple[bytes, list[str], list[str], str]:
        key = tasks.upload_to_bucket(b"content", bucket, credentials)
        tasks.copy_objects(key, "copies/one", bucket, credentials)
        tasks.move_objects("copies/one", Path("moved/one"), bucket, credentials, target_bucket_name=other)
        here = [one["Key"] for one in tasks.list_objects(bucket, credentials)]
        there = [one["Key"] for one in tasks.list_objects(other, credentials, prefix="mov")]
        return tasks.download_from_bucket(other, "moved/one", credentials), here, there, key

    content, here, there, key = work()
    assert content == b"content"
    assert here == [key]
    assert there == ["moved/one"]


def test_async_flows_await_the_twins(credentials: AwsCredentials, make_bucket: Callable[[], str]) -> None:
    bucket = make_bucket()

    @flow
    async def work() -> bytes:
        key = await tasks.aupload_to_bucket(b"content", bucket, credentials, key="named")
        assert key == "named"
        await tasks.acopy_objects("named", "copy", bucket, credentials)
        return await tasks.adownload_from_bucket(bucket, "copy", credentials)

    assert asyncio.run(work()) == b"content"


def test_a_task_that_finds_nothing_fails_with_what_to_do(credentials: AwsCredentials, make_bucket: Callable[[], str]) -> None:
    bucket = make_bucket()

    @flow
    def work() -> None:
        tasks.download_from_bucket(bucket, "missing", credentials)

    with pytest.raises(ObjectNotFound, match="missing"):
        work()


def test_clients_are_made_from_dictionaries(moto: str) -> None:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    assert tasks.get_s3_client(keys, {"endpoint_url": moto}).meta.endpoint_url == moto
    minio = tasks.get_s3_client({"minio_root_user": "u", "minio_root_password": "p", "aws_client_parameters": {"endpoint_url": moto}})
    assert minio.meta.endpoint_url == moto
