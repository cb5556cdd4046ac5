"""What headrace-aws offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

_SDK = ("boto3",)


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Offer credentials, and the blocks for single services."""
    return [
        Offer("aws-credentials", "headrace_aws.credentials:AwsCredentials", "How to log in to AWS, and which role to assume", modules=_SDK),
        Offer("minio-credentials", "headrace_aws.credentials:MinIOCredentials", "How to log in to MinIO and the like", modules=_SDK),
        Offer("s3-bucket", "headrace_aws.s3:S3Bucket", "Objects in an S3 bucket, or a folder of one", modules=_SDK),
        Offer("aws-secret", "headrace_aws.secrets_manager:AwsSecret", "A secret in Secrets Manager", modules=_SDK),
        Offer("lambda-function", "headrace_aws.lambda_function:LambdaFunction", "A Lambda function to invoke", modules=_SDK),
        Offer("gluejobblock", "headrace_aws.glue_job:GlueJobBlock", "A Glue job to run", modules=_SDK, aliases=("glue-job-block",)),
    ]


@hookimpl
def headrace_deployment_steps() -> list[Offer]:
    """Offer steps that keep code in S3."""
    steps = "headrace_aws.deployments.steps"
    return [
        Offer(f"{steps}.push_to_s3", f"{steps}:push_to_s3", "Upload the working directory to S3", modules=_SDK),
        Offer(f"{steps}.pull_from_s3", f"{steps}:pull_from_s3", "Download a folder of S3 into the working directory", modules=_SDK),
    ]


@hookimpl
def headrace_workers() -> list[Offer]:
    """Offer the worker for ECS."""
    return [Offer("ecs", "headrace_aws.workers.ecs_worker:ECSWorker", "Runs each flow run as a task of Elastic Container Service", modules=_SDK)]


@hookimpl
def headrace_commands() -> list[Offer]:
    """Offer the commands for AWS; they are a program of their own too, `headrace-aws`."""
    return [Offer("aws", "headrace_aws.cli:main", "Deploy ECS workers, and the queue of task events, as stacks of CloudFormation", modules=_SDK)]


@hookimpl
def headrace_database_connection(connection_url: str, settings: Any) -> Mapping[str, Any] | None:
    """Log in to a database of RDS with IAM, where that is switched on."""
    from headrace_aws.plugins import set_database_connection_params

    return set_database_connection_params(connection_url, settings) or None
