"""What can be configured of an ECS task, and what a run's task is made from."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

import headrace
from headrace.workers.remote import LabelRules, RemoteJobConfiguration, RemoteJobVariables
from headrace_aws.credentials import AwsCredentials

LaunchType = Literal["FARGATE", "EC2", "EXTERNAL", "FARGATE_SPOT"]

DEFAULT_CONTAINER_NAMES = ("headrace", "prefect")
"""The container that runs the flow, where none is named: the first of these that the definition has, else its first one."""
DEFAULT_LAUNCH_TYPE: LaunchType = "FARGATE"
DEREGISTER_TAG = "prefect.io/deregister-task-definition"
"""The tag of tasks whose definition is deregistered when they have ended."""
TAG_RULES = LabelRules("A-Za-z0-9_./=+:@-", "A-Za-z0-9_./=+:@ -", key_size=128, value_size=256, count=48, starts_with_letter=False)
"""Tags as ECS takes them: 50 a task, of which two are the worker's own (Amazon ECS Developer Guide, "Tagging your Amazon ECS resources")."""
_API_SECRETS = {"HEADRACE_API_KEY": "headrace_api_key_secret_arn", "HEADRACE_API_AUTH_STRING": "headrace_api_auth_string_secret_arn"}

_TEXTS = {
    "task_definition_arn": "An existing task definition to run. Then none is made, and what describes one (image, cpu, logs, …) has no effect.",
    "aws_credentials": "The AWS credentials to use to connect to ECS. Without, those of the worker's environment or role.",
    "cluster": "The ECS cluster to run the task in, by name or ARN. Default: the account's default cluster.",
    "family": "The family of the task definition. Default: one that is made from the pool's name and the deployment's id.",
    "launch_type": "Where the task runs. FARGATE_SPOT needs a cluster with that capacity provider. Has no effect with a capacity_provider_strategy.",
    "capacity_provider_strategy": "The capacity providers to use, with their weights.",
    "image": "The image of the container. Default: headrace's own of the worker's version, `headrace:<version>`, which ECS must be able to pull.",
    "cpu": "CPU units for the task (EC2: for the container); 1024 are one core. Default: 1024, if the task definition says nothing.",
    "memory": "Memory for the task (EC2: for the container), in MiB. Default: 2048, if the task definition says nothing.",
    "container_name": "The container that runs the flow. Default: `headrace` or `prefect`, if the task definition has it, else its first container.",
    "headrace_api_key_secret_arn": "The ARN of a secret, or of a parameter, that holds the API key. The execution role must be able to read it.",
    "headrace_api_auth_string_secret_arn": "The same for the API's auth string.",
    "task_role_arn": "The role that the flow has at AWS while it runs.",
    "execution_role_arn": "The role by which ECS pulls the image, reads secrets and writes logs.",
    "vpc_id": "The VPC to run the task in. Default: the region's default VPC. Matters for tasks with the network mode awsvpc, such as Fargate's.",
    "configure_cloudwatch_logs": "Whether the container's output goes to CloudWatch. Needs an execution role that may write logs.",
    "cloudwatch_logs_options": "Options of the awslogs driver besides those that are set, as `awslogs-group` or `max-buffer-size`.",
    "cloudwatch_logs_prefix": "What names of log streams begin with. Default: one made from the names of the pool and the deployment.",
    "network_configuration": "The task's network: `subnets`, `securityGroups` and `assignPublicIp`. Needs `vpc_id`; the subnets must be of that VPC.",
    "auto_deregister_task_definition": "Whether the task definition is deregistered when the task has ended. An existing one never is.",
    "match_latest_revision_in_family": "Whether the newest definition of the family is used when it is the same as the wanted one. "
    "Give `family` as well, or families with other definitions are not looked at.",
    "secret_env": "Environment variables that ECS fills from Secrets Manager or the Parameter Store: the variable's name, and the secret's ARN. "
    "The execution role must be able to read them.",
}


class CapacityProvider(BaseModel):
    """The capacity provider strategy to use when running the task."""

    model_config = ConfigDict(defer_build=True)

    capacityProvider: str = Field(description="The name of the capacity provider.")
    weight: int = Field(description="Its share of the tasks, compared with the others' weights.")
    base: int = Field(default=0, description="How many tasks it gets before weights count.")


def default_image() -> str:
    """Return the image of runs for which none is configured: headrace's own of this version."""
    return f"headrace:{headrace.__version__}"


def _default_task_definition_template() -> dict[str, Any]:
    return {
        "containerDefinitions": [{"image": "{{ image }}", "name": "{{ container_name }}"}],
        "cpu": "{{ cpu }}",
        "family": "{{ family }}",
        "memory": "{{ memory }}",
        "executionRoleArn": "{{ execution_role_arn }}",
    }


def _default_task_run_request_template() -> dict[str, Any]:
    return {
        "launchType": "{{ launch_type }}",
        "cluster": "{{ cluster }}",
        "overrides": {
            "containerOverrides": [
                {
                    "name": "{{ container_name }}",
                    "command": "{{ command }}",
                    "environment": "{{ env }}",
                    "cpu": "{{ cpu }}",
                    "memory": "{{ memory }}",
                }
            ],
            "cpu": "{{ cpu }}",
            "memory": "{{ memory }}",
            "taskRoleArn": "{{ task_role_arn }}",
        },
        "tags": "{{ labels }}",
        "taskDefinition": "{{ task_definition_arn }}",
        "capacityProviderStrategy": "{{ capacity_provider_strategy }}",
    }


def without_empty(value: Any) -> Any:
    """Return nested dictionaries and lists without what is None or empty. False and 0 stay."""
    if isinstance(value, dict):
        found = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not None and item != "" and item != {} and item != []}
    if isinstance(value, list):
        return [item for item in (without_empty(one) for one in value) if item is not None and item != "" and item != {} and item != []]
    return value


class ECSJobConfiguration(RemoteJobConfiguration):
    """Job configuration for an ECS worker: a task definition, a request to run it, and what the worker adds to both."""

    aws_credentials: AwsCredentials = Field(default_factory=AwsCredentials, description=_TEXTS["aws_credentials"])
    task_definition: dict[str, Any] = Field(
        default_factory=dict, description="The task definition to register.", json_schema_extra={"template": _default_task_definition_template()}
    )
    task_run_request: dict[str, Any] = Field(
        default_factory=dict, description="The request to run it.", json_schema_extra={"template": _default_task_run_request_template()}
    )
    configure_cloudwatch_logs: bool | None = Field(default=None, description=_TEXTS["configure_cloudwatch_logs"])
    cloudwatch_logs_options: dict[str, str] = Field(default_factory=dict, description=_TEXTS["cloudwatch_logs_options"])
    cloudwatch_logs_prefix: str | None = Field(default=None, description=_TEXTS["cloudwatch_logs_prefix"])
    network_configuration: dict[str, Any] = Field(default_factory=dict, description=_TEXTS["network_configuration"])
    stream_output: bool | None = Field(
        default=None, description="Whether the container's CloudWatch log is shown on the worker's output.", json_schema_extra={"template": False}
    )
    task_start_timeout_seconds: int = Field(
        default=300, ge=0, description="How long a task may take to start; then it is stopped. 0: without end.", json_schema_extra={"template": 0}
    )
    task_watch_poll_interval: float = Field(
        default=5.0, ge=0, description="How often a task is asked after, in seconds. 0: every 5 seconds.", json_schema_extra={"template": 0}
    )
    auto_deregister_task_definition: bool = Field(default=False, description=_TEXTS["auto_deregister_task_definition"])
    vpc_id: str | None = Field(default=None, description=_TEXTS["vpc_id"])
    container_name: str | None = Field(default=None, description=_TEXTS["container_name"])
    cluster: str | None = Field(default=None, description=_TEXTS["cluster"])
    match_latest_revision_in_family: bool = Field(default=False, description=_TEXTS["match_latest_revision_in_family"])
    headrace_api_key_secret_arn: str | None = Field(
        default=None,
        description=_TEXTS["headrace_api_key_secret_arn"],
        validation_alias=AliasChoices("headrace_api_key_secret_arn", "prefect_api_key_secret_arn"),
    )
    headrace_api_auth_string_secret_arn: str | None = Field(
        default=None,
        description=_TEXTS["headrace_api_auth_string_secret_arn"],
        validation_alias=AliasChoices("headrace_api_auth_string_secret_arn", "prefect_api_auth_string_secret_arn"),
    )
    execution_role_arn: str | None = Field(default=None, description=_TEXTS["execution_role_arn"])

    _cache_key: str = PrivateAttr(default="")
    _family: str = PrivateAttr(default="")
    _log_prefix: str = PrivateAttr(default="")

    @property
    def cache_key(self) -> str:
        """What runs have in common that share a task definition: the deployment's id, or the flow's."""
        return self._cache_key

    @property
    def family(self) -> str:
        """The family of a task definition that names none."""
        return self._family

    @property
    def log_prefix(self) -> str:
        """What names of log streams begin with."""
        return self.cloudwatch_logs_prefix or self._log_prefix

    @property
    def task_definition_arn(self) -> str | None:
        """The existing task definition to run, if there is one."""
        return self.task_run_request.get("taskDefinition") or None

    def prepare_for_flow_run(
        self, flow_run: Any, deployment: Any = None, flow: Any = None, work_pool: Any = None, worker_name: Any = None, worker_id: Any = None
    ) -> None:
        """See `BaseJobConfiguration.prepare_for_flow_run`; the API's secrets become ECS's, and labels become tags that ECS takes."""
        for name, field in _API_SECRETS.items():
            arn = getattr(self, field)
            if arn:
                self.secret_env = {**self.secret_env, name: arn}
        super().prepare_for_flow_run(flow_run, deployment, flow, work_pool, worker_name, worker_id)
        self.labels = TAG_RULES.fit(self.labels)
        self._cache_key = str(deployment.id if deployment is not None else flow_run.flow_id)
        pool = work_pool.name if work_pool is not None else "pool"
        self._family = _slug(f"headrace_{pool}_{self._cache_key}", 255)
        named = [pool, *([deployment.name] if deployment is not None else [])]
        self._log_prefix = _slug("headrace-logs_" + "_".join(named), 200)

    @field_validator("aws_credentials", mode="before")
    @classmethod
    def _no_credentials(cls, value: Any) -> Any:
        return AwsCredentials() if value is None else value

    @model_validator(mode="after")
    def task_run_request_requires_arn_if_no_task_definition_given(self) -> Self:
        """Require a task definition, or the ARN of one."""
        given = self.model_fields_set & {"task_definition", "task_run_request"}
        if given and not self.task_definition and not self.task_definition_arn:
            raise ValueError("There is nothing to run: give a task definition, or the ARN of one as `taskDefinition` of the request.")
        return self

    @model_validator(mode="after")
    def container_name_default_from_task_definition(self) -> Self:
        """Infer which container runs the flow, where it is not named and the definition is known."""
        containers = [one for one in without_empty(self.task_definition).get("containerDefinitions", []) if one.get("name")]
        if self.container_name is None and containers and not self.task_definition_arn:
            names = [one["name"] for one in containers]
            self.container_name = next((name for name in DEFAULT_CONTAINER_NAMES if name in names), names[0])
        return self

    @model_validator(mode="after")
    def at_least_one_container_is_essential(self) -> Self:
        """Require a container whose end is the task's end."""
        containers = self.task_definition.get("containerDefinitions") or []
        if containers and all(isinstance(one, dict) and one.get("essential") is False for one in containers):
            raise ValueError("No container of the task definition is essential. Leave out `essential: false` for the one that runs the flow.")
        return self

    @model_validator(mode="after")
    def configure_cloudwatch_logs_requires_execution_role_arn(self) -> Self:
        """Require an execution role for logs, unless an existing definition may have one."""
        has_role = self.execution_role_arn or self.task_definition.get("executionRoleArn")
        if self.configure_cloudwatch_logs and not self.task_definition_arn and not has_role:
            raise ValueError("An `execution_role_arn` must be given for `configure_cloudwatch_logs`: by that role ECS writes logs.")
        return self

    @model_validator(mode="after")
    def cloudwatch_logs_options_requires_configure_cloudwatch_logs(self) -> Self:
        """Refuse options of logs that are not written."""
        if self.cloudwatch_logs_options and not self.configure_cloudwatch_logs:
            raise ValueError("`configure_cloudwatch_logs` must be true for `cloudwatch_logs_options` to have an effect.")
        return self

    @model_validator(mode="after")
    def network_configuration_requires_vpc_id(self) -> Self:
        """Require the VPC that subnets are of."""
        if self.network_configuration and not self.vpc_id:
            raise ValueError("A `vpc_id` must be given for `network_configuration`: the VPC that its subnets are of.")
        return self

    @model_validator(mode="after")
    def _without_values_given_elsewhere(self) -> Self:
        """Take out of the request what the template put there as well: environment, command and labels, with the secrets among them."""
        request = deepcopy(self.task_run_request)
        for container in (request.get("overrides") or {}).get("containerOverrides") or []:
            if isinstance(container.get("environment"), dict):
                del container["environment"]
            if isinstance(container.get("command"), str):
                del container["command"]
        if isinstance(request.get("tags"), dict):
            del request["tags"]
        self.task_run_request = request
        return self


def _slug(text: str, size: int) -> str:
    """Return a name as ECS takes it for families: letters, digits, `-` and `_`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:size].strip("-")


class ECSVariables(RemoteJobVariables):
    """Variables for templating an ECS job."""

    secret_env: dict[str, str] = Field(default_factory=dict, title="Secret Environment Variables", description=_TEXTS["secret_env"])
    task_definition_arn: str | None = Field(default=None, title="Task Definition ARN", description=_TEXTS["task_definition_arn"])
    aws_credentials: AwsCredentials = Field(default_factory=AwsCredentials, title="AWS Credentials", description=_TEXTS["aws_credentials"])
    cluster: str | None = Field(default=None, description=_TEXTS["cluster"])
    family: str | None = Field(default=None, description=_TEXTS["family"])
    launch_type: LaunchType = Field(default=DEFAULT_LAUNCH_TYPE, description=_TEXTS["launch_type"])
    capacity_provider_strategy: list[CapacityProvider] = Field(default_factory=list, description=_TEXTS["capacity_provider_strategy"])
    image: str | None = Field(default=None, description=_TEXTS["image"])
    cpu: int | None = Field(default=None, title="CPU", description=_TEXTS["cpu"])
    memory: int | None = Field(default=None, description=_TEXTS["memory"])
    container_name: str | None = Field(default=None, description=_TEXTS["container_name"])
    headrace_api_key_secret_arn: str | None = Field(default=None, title="API Key Secret ARN", description=_TEXTS["headrace_api_key_secret_arn"])
    headrace_api_auth_string_secret_arn: str | None = Field(
        default=None, title="API Auth String Secret ARN", description=_TEXTS["headrace_api_auth_string_secret_arn"]
    )
    task_role_arn: str | None = Field(default=None, title="Task Role ARN", description=_TEXTS["task_role_arn"])
    execution_role_arn: str | None = Field(default=None, title="Execution Role ARN", description=_TEXTS["execution_role_arn"])
    vpc_id: str | None = Field(default=None, title="VPC ID", description=_TEXTS["vpc_id"])
    configure_cloudwatch_logs: bool | None = Field(default=None, title="Configure CloudWatch Logs", description=_TEXTS["configure_cloudwatch_logs"])
    cloudwatch_logs_options: dict[str, str] = Field(
        default_factory=dict, title="CloudWatch Logs Options", description=_TEXTS["cloudwatch_logs_options"]
    )
    cloudwatch_logs_prefix: str | None = Field(default=None, title="CloudWatch Logs Prefix", description=_TEXTS["cloudwatch_logs_prefix"])
    network_configuration: dict[str, Any] = Field(default_factory=dict, description=_TEXTS["network_configuration"])
    auto_deregister_task_definition: bool = Field(default=False, description=_TEXTS["auto_deregister_task_definition"])
    match_latest_revision_in_family: bool = Field(default=False, description=_TEXTS["match_latest_revision_in_family"])
