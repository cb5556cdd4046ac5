"""What headrace-gcp offers."""

from __future__ import annotations

from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Offer credentials and the blocks that use them."""
    return [
        Offer(
            "gcp-credentials",
            "headrace_gcp.credentials:GcpCredentials",
            "How to log in to Google Cloud, and clients of its services",
            modules=("google.auth",),
        ),
        Offer(
            "gcs-bucket",
            "headrace_gcp.cloud_storage:GcsBucket",
            "Objects in a Cloud Storage bucket, or in a folder of one",
            modules=("google.cloud.storage",),
            extra="cloud-storage",
        ),
        Offer(
            "bigquery-warehouse",
            "headrace_gcp.bigquery:BigQueryWarehouse",
            "Queries of BigQuery, and their rows page by page",
            modules=("google.cloud.bigquery",),
            extra="bigquery",
        ),
        Offer(
            "gcpsecret",
            "headrace_gcp.secret_manager:GcpSecret",
            "A secret in Secret Manager",
            modules=("google.cloud.secretmanager_v1",),
            extra="secret-manager",
        ),
    ]


@hookimpl
def headrace_deployment_steps() -> list[Offer]:
    """Offer the steps that keep a project's code in a bucket."""
    return [
        Offer(
            "headrace_gcp.deployments.steps.push_to_gcs",
            "headrace_gcp.deployments.steps:push_to_gcs",
            "Upload the project to a Cloud Storage bucket",
            modules=("google.cloud.storage",),
            extra="cloud-storage",
        ),
        Offer(
            "headrace_gcp.deployments.steps.pull_from_gcs",
            "headrace_gcp.deployments.steps:pull_from_gcs",
            "Download the project from a Cloud Storage bucket",
            modules=("google.cloud.storage",),
            extra="cloud-storage",
        ),
    ]


@hookimpl
def headrace_workers() -> list[Offer]:
    """Offer the workers that run flows on Google Cloud."""
    return [
        Offer(
            "cloud-run-v2",
            "headrace_gcp.workers.cloud_run_v2:CloudRunWorkerV2",
            "Runs flows as jobs of Cloud Run",
            modules=("googleapiclient",),
        ),
        Offer(
            "cloud-run",
            "headrace_gcp.workers.cloud_run:CloudRunWorker",
            "Runs flows as jobs of Cloud Run, by its first API",
            modules=("googleapiclient",),
        ),
        Offer(
            "vertex-ai",
            "headrace_gcp.workers.vertex:VertexAIWorker",
            "Runs flows as custom jobs of Vertex AI",
            modules=("googleapiclient",),
        ),
    ]
