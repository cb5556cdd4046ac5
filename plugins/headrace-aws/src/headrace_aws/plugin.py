"""What headrace-aws offers."""

from __future__ import annotations

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
    ]
