"""What headrace expects of every plugin."""

from headrace.testing import PluginContract
from headrace_aws import ecs, experimental

CREDENTIALS = {
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMI-secret",
    "aws_session_token": "FQoGZXIvYXdzEPP-token",
    "region_name": "us-east-2",
}


def test_the_older_place_of_the_decorator_stays() -> None:
    assert experimental.ecs is ecs


class TestContract(PluginContract):
    plugin = "aws"
    block_examples = {
        "aws-credentials": CREDENTIALS,
        "minio-credentials": {"minio_root_user": "minio", "minio_root_password": "minio-password"},
        "s3-bucket": {"bucket_name": "bucket", "credentials": CREDENTIALS, "bucket_folder": "folder"},
        "aws-secret": {"secret_name": "database-password", "aws_credentials": CREDENTIALS},
        "lambda-function": {"function_name": "resize", "qualifier": "1", "aws_credentials": CREDENTIALS},
        "gluejobblock": {"job_name": "nightly", "arguments": {"--day": "1"}, "aws_credentials": CREDENTIALS},
    }
