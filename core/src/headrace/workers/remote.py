"""Front desk: what workers for jobs of a remote service are written with."""

from headrace.deploy.workers.remote_configuration import JobEnvironment, LabelRules, RemoteJobConfiguration, RemoteJobVariables
from headrace.deploy.workers.remote_job import Failure, JobLogs, JobStatus, RemoteJobWorker, SubmissionUnknown

__all__ = [
    "Failure",
    "JobEnvironment",
    "JobLogs",
    "JobStatus",
    "LabelRules",
    "RemoteJobConfiguration",
    "RemoteJobVariables",
    "RemoteJobWorker",
    "SubmissionUnknown",
]
