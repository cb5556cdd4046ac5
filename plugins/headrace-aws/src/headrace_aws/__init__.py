"""Amazon Web Services in headrace flows. Names are imported when they are used, so that `import headrace_aws` costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_aws.assume_role_parameters import AssumeRoleParameters
    from headrace_aws.client_parameters import AwsClientParameters
    from headrace_aws.credentials import AwsCredentials, MinIOCredentials
    from headrace_aws.decorators import ecs
    from headrace_aws.glue_job import GlueJobBlock
    from headrace_aws.lambda_function import LambdaFunction
    from headrace_aws.s3 import S3Bucket
    from headrace_aws.secrets_manager import AwsSecret
    from headrace_aws.workers.ecs_worker import ECSWorker

__all__ = [
    "AssumeRoleParameters",
    "AwsClientParameters",
    "AwsCredentials",
    "AwsSecret",
    "ECSWorker",
    "GlueJobBlock",
    "LambdaFunction",
    "MinIOCredentials",
    "S3Bucket",
    "ecs",
]

_HOMES = {
    "AssumeRoleParameters": "assume_role_parameters",
    "AwsClientParameters": "client_parameters",
    "AwsCredentials": "credentials",
    "AwsSecret": "secrets_manager",
    "ECSWorker": "workers.ecs_worker",
    "GlueJobBlock": "glue_job",
    "LambdaFunction": "lambda_function",
    "MinIOCredentials": "credentials",
    "S3Bucket": "s3",
    "ecs": "decorators",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"headrace_aws.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
