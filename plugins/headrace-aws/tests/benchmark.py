"""S3Bucket against plain boto3, both with the same work and as many requests at once: 1,000 small objects, and one of 1 GiB. No test.

Run `python plugins/headrace-aws/tests/benchmark.py [--megabytes 1024] [--objects 1000]`. Each time is the best of several. The last line is JSON, for
`nox -s bench`, where the limit of the ratio is 1.3. The server is ministack, in a process of its own; moto reads an object whole for each part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace.testing.starting import free_port, is_open, wait_for
from headrace_aws import AwsCredentials, S3Bucket
from headrace_aws.client_parameters import AwsClientParameters

CONCURRENCY = 8
SMALL = b"x" * 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as endpoint:
        parameters = AwsClientParameters(endpoint_url=endpoint, config={"s3": {"addressing_style": "path"}})
        keys: dict[str, Any] = {"aws_access_key_id": "b", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        credentials = AwsCredentials(**keys, aws_client_parameters=parameters)
        credentials.get_s3_client().create_bucket(Bucket="bench")
        bench = Bench(S3Bucket(bucket_name="bench", credentials=credentials), Path(folder), given.rounds)
        if given.objects:
            bench.small(given.objects)
        if given.megabytes:
            bench.large(given.megabytes)
        print(json.dumps(bench.measured))


class Bench:
    def __init__(self, bucket: S3Bucket, folder: Path, rounds: int) -> None:
        self.bucket, self.folder, self.rounds = bucket, folder, rounds
        self.client = bucket.credentials.get_s3_client()
        self.measured: list[dict[str, Any]] = []

    def compare(self, name: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(self.rounds):
            for whose, work in (("theirs", theirs), ("ours", ours)):
                began = time.perf_counter()
                work()
                times[whose].append(time.perf_counter() - began)
        mine, plain = min(times["ours"]), min(times["theirs"])
        self.measured.append({"work": name, "ours": mine, "plain": plain})
        print(f"{name:28} S3Bucket {mine:7.2f} s   boto3 {plain:7.2f} s   ratio {mine / plain:5.2f}", flush=True)

    def small(self, count: int) -> None:
        source, target = self.folder / "small", self.folder / "back"
        source.mkdir()
        target.mkdir()
        names = [f"{number:05}" for number in range(count)]
        for name in names:
            (source / name).write_bytes(SMALL)

        def upload() -> None:
            with ThreadPoolExecutor(CONCURRENCY) as pool:
                list(pool.map(lambda name: self.client.upload_file(str(source / name), "bench", f"small/{name}"), names))

        def download() -> None:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="bench", Prefix="small/")
            found = [one["Key"] for page in pages for one in page["Contents"]]
            with ThreadPoolExecutor(CONCURRENCY) as pool:
                list(pool.map(lambda key: self.client.download_file("bench", key, str(target / key.rpartition("/")[2])), found))

        self.compare(f"upload of {count} objects", lambda: self.bucket.put_directory(str(source), "small"), upload)
        self.compare(f"download of {count} objects", lambda: self.bucket.get_directory("small", str(target)), download)

    def large(self, megabytes: int) -> None:
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(max_concurrency=10)  # boto3's own number, and ours
        source, target = self.folder / "large", self.folder / "large-back"
        with source.open("wb") as out:
            for _ in range(megabytes):
                out.write(os.urandom(1024 * 1024))
        self.compare(
            f"upload of {megabytes} MiB",
            lambda: self.bucket.upload_from_path(source, "large"),
            lambda: self.client.upload_file(str(source), "bench", "large", Config=config),
        )
        self.compare(
            f"download of {megabytes} MiB",
            lambda: self.bucket.download_object_to_path("large", target),
            lambda: self.client.download_file("bench", "large", str(target), Config=config),
        )


@contextmanager
def server(folder: Path) -> Iterator[str]:
    port = free_port()
    places = {"STATE_DIR": str(folder / "state"), "S3_DATA_DIR": str(folder / "s3")}
    environment = {**os.environ, **places, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}
    log = folder / "ministack.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "ministack"], env=environment, cwd=folder, stdout=out, stderr=out)
    try:
        wait_for(lambda: is_open(port), process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
