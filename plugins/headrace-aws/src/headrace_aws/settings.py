"""Settings of this plugin: `HEADRACE_INTEGRATIONS_AWS_…`, or `[integrations.aws]` in a settings file."""

from __future__ import annotations

from headrace.settings.base import HeadraceBaseSettings, group, setting


class EcsObserverSqsSettings(HeadraceBaseSettings, path="integrations.aws.ecs.observer.sqs"):
    """The queue that tells of ECS tasks."""

    queue_name: str = setting("headrace-ecs-tasks-events", "The SQS queue to which EventBridge sends the state changes of ECS tasks.")
    queue_region: str | None = setting(None, "The queue's region; by default that of the worker's environment.")


class EcsObserverSettings(HeadraceBaseSettings, path="integrations.aws.ecs.observer"):
    """How an ECS worker learns what becomes of tasks."""

    enabled: bool = setting(True, "Listen to the queue, where there is one. Without, tasks are only asked after.")
    sqs: EcsObserverSqsSettings = group(EcsObserverSqsSettings)
    forward_crashed_run_logs: bool = setting(True, "Put the end of a container's CloudWatch log into the log of a run that never began.")
    forward_crashed_run_logs_max_events: int = setting(500, "How many lines of it.", ge=1, le=10000)


class EcsWorkerSettings(HeadraceBaseSettings, path="integrations.aws.ecs.worker"):
    """How ECS workers repeat what failed."""

    create_task_run_max_attempts: int = setting(3, "How often a task is asked for while there is no place for it, or ECS is busy.", ge=1)
    create_task_run_min_delay_seconds: int = setting(1, "The pause between two of these tries, in seconds.", ge=0)
    create_task_run_min_delay_jitter_seconds: int = setting(0, "What is added to that pause at least, in seconds.", ge=0)
    create_task_run_max_delay_jitter_seconds: int = setting(3, "What is added to that pause at most, in seconds.", ge=0)
    register_task_definition_max_attempts: int = setting(3, "How often a task definition is registered while ECS is busy.", ge=1)
    register_task_definition_initial_delay_seconds: float = setting(1.0, "The pause before the second of these tries; it doubles.", ge=0)
    register_task_definition_max_delay_seconds: float = setting(10.0, "The longest pause between two of these tries.", ge=0)


class EcsSettings(HeadraceBaseSettings, path="integrations.aws.ecs"):
    """Running flows on ECS."""

    observer: EcsObserverSettings = group(EcsObserverSettings)
    worker: EcsWorkerSettings = group(EcsWorkerSettings)


class RdsIAMSettings(HeadraceBaseSettings, path="integrations.aws.rds.iam"):
    """Logging in to databases of RDS with IAM."""

    enabled: bool = setting(False, "Log in to the server's database with a token of IAM instead of a password.")
    region_name: str | None = setting(None, "The database's region; by default that of the environment.")


class RdsSettings(HeadraceBaseSettings, path="integrations.aws.rds"):
    """Databases of RDS."""

    iam: RdsIAMSettings = group(RdsIAMSettings)


class AwsSettings(HeadraceBaseSettings, path="integrations.aws"):
    """Settings of headrace-aws."""

    ecs: EcsSettings = group(EcsSettings)
    rds: RdsSettings = group(RdsSettings)
