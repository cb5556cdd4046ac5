"""Settings of this plugin: `HEADRACE_INTEGRATIONS_GCP_…`."""

from __future__ import annotations

from headrace.settings.base import HeadraceBaseSettings, group, setting


class CloudRunV2WorkerSettings(HeadraceBaseSettings, path="integrations.gcp.cloud_run_v2.worker"):
    """How a Cloud Run worker tries again when Google Cloud is busy."""

    create_job_max_attempts: int = setting(3, "How often a worker tries to create a job before it gives up.", ge=1)
    create_job_initial_delay_seconds: float = setting(1.0, "The pause before the second try to create a job; it doubles.", ge=0)
    create_job_max_delay_seconds: float = setting(10.0, "The longest pause between tries to create a job.", ge=0)
    submit_job_max_attempts: int = setting(3, "How often a worker tries to start a job before it gives up.", ge=1)
    submit_job_initial_delay_seconds: float = setting(1.0, "The pause before the second try to start a job; it doubles.", ge=0)
    submit_job_max_delay_seconds: float = setting(10.0, "The longest pause between tries to start a job.", ge=0)
    api_read_retry_max_attempts: int = setting(3, "How often a worker asks for a job or an execution before it gives up.", ge=1)
    api_read_retry_initial_delay_seconds: float = setting(1.0, "The pause before a worker asks for the second time; it doubles.", ge=0)
    api_read_retry_max_delay_seconds: float = setting(10.0, "The longest pause before a worker asks again.", ge=0)
    ready_timeout_seconds: float = setting(600.0, "How long Cloud Run may take to make a job ready; then it is removed, and its run fails.", ge=0)
    poll_seconds: float = setting(5.0, "How often a worker asks how far a job is.", ge=0)


class CloudRunV2Settings(HeadraceBaseSettings, path="integrations.gcp.cloud_run_v2"):
    """Settings for Cloud Run."""

    worker: CloudRunV2WorkerSettings = group(CloudRunV2WorkerSettings)


class GcpSettings(HeadraceBaseSettings, path="integrations.gcp"):
    """Settings of headrace-gcp: `GcpSettings().cloud_run_v2.worker.create_job_max_attempts`."""

    cloud_run_v2: CloudRunV2Settings = group(CloudRunV2Settings)
    endpoints: dict[str, str] = setting(
        {},
        "Addresses to reach services at instead of Google's own, by the service's short name (storage, bigquery, secretmanager, run, aiplatform, "
        "logging): for Private Service Connect, or an emulator.",
    )
    request_timeout_seconds: float = setting(60.0, "How long a service may take to answer one request, where the call has no limit of its own.", ge=1)
