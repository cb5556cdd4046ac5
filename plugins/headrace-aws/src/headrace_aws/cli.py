"""`headrace-aws`, and `headrace aws`: ECS workers as stacks of CloudFormation."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from headrace.blocks.credentials import revealed
from headrace_aws.credentials import AwsCredentials
from headrace_aws.errors import AwsError
from headrace_aws.stacks import Stacks, TemplateType, tags_in, template

_OUTPUTS = {
    "ClusterArn": "cluster",
    "VpcId": "vpc_id",
    "ExecutionRoleArn": "execution_role_arn",
    "SubnetIds": "subnets",
    "ApiKeySecretArn": "headrace_api_key_secret_arn",
    "ApiAuthStringSecretArn": "headrace_api_auth_string_secret_arn",
}
"""The variables of a work pool that a stack's outputs become defaults of."""
_OWN_MACHINE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


def _place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which account and region are meant."""
    command = click.option("--profile", help="The profile of the AWS configuration to use.")(command)
    return click.option("--region", help="The AWS region; by default that of the environment.")(command)


def _of_settings(name: str) -> Callable[[], str | None]:
    """Return what looks up how this machine reaches the API: the profile's and the environment's `HEADRACE_API_…`."""

    def found() -> str | None:
        from headrace.settings import get_current_settings

        return revealed(getattr(get_current_settings().api, name))

    return found


def _fit_for_names(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse a pool's name that the template would refuse later."""
    rule = template("events-only")["Parameters"]["WorkPoolName"]
    if re.fullmatch(rule["AllowedPattern"], value) is None:
        raise click.BadParameter(rule["ConstraintDescription"])
    return value


@contextmanager
def _stacks(region: str | None, profile: str | None) -> Generator[Stacks]:
    try:
        yield Stacks(AwsCredentials(region_name=region, profile_name=profile), click.echo)
    except AwsError as error:
        raise click.ClickException(str(error)) from error


@click.group("aws")
@click.version_option(version_of("headrace-aws"), prog_name="headrace-aws")
def main() -> None:
    """Work with headrace on AWS."""


@main.command()
def version() -> None:
    """Show the version of headrace-aws."""
    click.echo(version_of("headrace-aws"))


@main.group("ecs-worker")
def ecs_worker() -> None:
    """Deploy workers that run flows on ECS, and the queue by which they learn what becomes of tasks."""


@ecs_worker.command("deploy-service")
@click.option("--work-pool-name", prompt=True, callback=_fit_for_names, help="The work pool, of type ecs.")
@click.option("--stack-name", prompt=True, help="What the CloudFormation stack is called.")
@click.option("--existing-cluster-identifier", prompt=True, help="The ECS cluster, by name or ARN.")
@click.option("--existing-vpc-id", prompt=True, help="The VPC that the worker runs in.")
@click.option("--existing-subnet-ids", prompt=True, help="Subnets of it, separated by commas.")
@click.option("--headrace-api-url", "--prefect-api-url", default=_of_settings("url"), prompt=True, help="The address of the server's API.")
@click.option(
    "--headrace-api-key",
    "--prefect-api-key",
    default=_of_settings("key"),
    help="The API key, if the server wants one; by default that of the settings, where nobody sees it in a command line.",
)
@click.option("--headrace-api-auth-string", "--prefect-auth-string", default=_of_settings("auth_string"), help="The same for basic authentication.")
@click.option("--headrace-api-key-secret-arn", "--prefect-api-key-secret-arn", default="", help="A secret or parameter that has the API key already.")
@click.option("--docker-image", required=True, help="The worker's image, with headrace and headrace-aws in it.")
@click.option("--work-queues", default="", help="Queues of the pool to take runs from, separated by commas; by default all.")
@click.option("--task-cpu", default=512, show_default=True, help="CPU units of the worker's task.")
@click.option("--task-memory", default=1024, show_default=True, help="Memory of the worker's task, in MiB.")
@click.option("--min-capacity", default=1, show_default=True, help="How many workers there are at least.")
@click.option("--max-capacity", default=2, show_default=True, help="How many there are at most.")
@click.option("--log-retention-days", default=30, show_default=True, help="How long the worker's log is kept.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the deployment to its end.")
@click.option("--dry-run", is_flag=True, help="Check everything and show the template's parameters, and change nothing.")
@_place
def deploy_service(**given: Any) -> None:
    """Deploy a worker as an ECS service, with its roles, log, secrets and the queue of task events."""
    with _stacks(given["region"], given["profile"]) as stacks:
        stacks.check_credentials()
        cluster = stacks.cluster(given["existing_cluster_identifier"])
        subnets = [one.strip() for one in given["existing_subnet_ids"].split(",") if one.strip()]
        stacks.check_network(given["existing_vpc_id"], subnets)
        if urlsplit(given["headrace_api_url"]).hostname in _OWN_MACHINE:
            click.echo(f"A worker in AWS cannot reach {given['headrace_api_url']}: give the address that others have of this machine.", err=True)
        queues = [one.strip() for one in given["work_queues"].split(",") if one.strip()]
        parameters = {
            "WorkPoolName": given["work_pool_name"],
            "ClusterArn": cluster["clusterArn"],
            "ClusterName": cluster["clusterName"],
            "VpcId": given["existing_vpc_id"],
            "SubnetIds": ",".join(subnets),
            "ApiUrl": given["headrace_api_url"],
            "ApiKey": given["headrace_api_key"] or "",
            "ApiAuthString": given["headrace_api_auth_string"] or "",
            "ApiKeySecretArn": given["headrace_api_key_secret_arn"],
            "DockerImage": given["docker_image"],
            "WorkerArguments": shlex.join(word for queue in queues for word in ("--work-queue", queue)),
            "TaskCpu": str(given["task_cpu"]),
            "TaskMemory": str(given["task_memory"]),
            "MinCapacity": str(given["min_capacity"]),
            "MaxCapacity": str(given["max_capacity"]),
            "LogRetentionDays": str(given["log_retention_days"]),
        }
        _deploy(stacks, given, "service", parameters)


@ecs_worker.command("deploy-events")
@click.option("--work-pool-name", prompt=True, callback=_fit_for_names, help="The work pool; the queue is called after it.")
@click.option("--stack-name", prompt=True, help="What the CloudFormation stack is called.")
@click.option("--existing-cluster-arn", prompt=True, help="The ECS cluster whose tasks are told of.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the deployment to its end.")
@click.option("--dry-run", is_flag=True, help="Check everything and show the template's parameters, and change nothing.")
@_place
def deploy_events(**given: Any) -> None:
    """Deploy the queue of task events alone, for workers that run elsewhere."""
    with _stacks(given["region"], given["profile"]) as stacks:
        stacks.check_credentials()
        cluster = stacks.cluster(given["existing_cluster_arn"])
        _deploy(stacks, given, "events-only", {"WorkPoolName": given["work_pool_name"], "ClusterArn": cluster["clusterArn"]})


def _deploy(stacks: Stacks, given: dict[str, Any], kind: TemplateType, parameters: dict[str, str]) -> None:
    if given["dry_run"]:
        hidden = {"ApiKey", "ApiAuthString"}
        for name, value in parameters.items():
            click.echo(f"  {name}: {'********' if name in hidden and value else value}")
        click.echo("Everything is in order; nothing was changed.")
        return
    click.echo(f"Deploying the stack {given['stack_name']!r} ...")
    stack = stacks.deploy(given["stack_name"], kind, parameters, given["work_pool_name"], given["wait"])
    if not given["wait"]:
        click.echo(f"It is under way: headrace-aws ecs-worker status {given['stack_name']}")
        return
    outputs = _outputs(stack)
    for name, value in outputs.items():
        click.echo(f"  {name}: {value}")
    if kind == "service":
        _tell_pool(given["work_pool_name"], outputs)
    else:
        click.echo(f"Start workers with HEADRACE_INTEGRATIONS_AWS_ECS_OBSERVER_SQS_QUEUE_NAME={outputs.get('QueueName')}")


def _tell_pool(name: str, outputs: dict[str, str]) -> None:
    """Make what was deployed the defaults of the pool's variables. A pool that cannot be changed now is no failure of the deployment."""
    try:
        changed = update_work_pool_defaults(name, outputs)
    except Exception as error:  # noqa: BLE001  # the stack stands; what is left to do is said
        click.echo(f"The defaults of the work pool {name!r} could not be set ({type(error).__name__}: {error}). Set them by hand.", err=True)
    else:
        click.echo(f"Defaults of the work pool {name!r} that are set now: {', '.join(changed)}.")


def update_work_pool_defaults(work_pool_name: str, stack_outputs: dict[str, str]) -> list[str]:
    """Make a stack's outputs the defaults of a pool's variables; return which. Raises `ObjectNotFound` when there is no such pool."""
    from headrace.client.orchestration import get_client
    from headrace.client.schemas.actions import WorkPoolUpdate

    values: dict[str, Any] = {_OUTPUTS[name]: value for name, value in stack_outputs.items() if name in _OUTPUTS}
    subnets = [one for one in values.pop("subnets", "").split(",") if one]
    if subnets:
        values["network_configuration"] = {"subnets": subnets, "assignPublicIp": "ENABLED"}
    with get_client(sync_client=True) as client:
        found = client.read_work_pool(work_pool_name).base_job_template
        properties = found.get("variables", {}).get("properties", {})
        known = [name for name in values if name in properties]
        for name in known:
            properties[name]["default"] = values[name]
        client.update_work_pool(work_pool_name, WorkPoolUpdate(base_job_template=found))
    return known


@ecs_worker.command("list")
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How they are shown.")
@_place
def list_stacks(output_format: str, region: str | None, profile: str | None) -> None:
    """List the stacks that were deployed by these commands."""
    with _stacks(region, profile) as stacks:
        found = [_told(one) for one in stacks.list()]
    if output_format == "json":
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("There are none.")
    for one in found:
        click.echo(f"{one['stack_name']:30} {one['status']:22} {one['type']:12} {one['work_pool']}")


@ecs_worker.command("status")
@click.argument("stack_name")
@_place
def stack_status(stack_name: str, region: str | None, profile: str | None) -> None:
    """Show how far a stack is, and what it has made."""
    with _stacks(region, profile) as stacks:
        stack = stacks.own(stack_name)
    for name, value in _told(stack).items():
        click.echo(f"{name:12} {value}")
    for name, value in _outputs(stack).items():
        click.echo(f"  {name}: {value}")


@ecs_worker.command("delete")
@click.argument("stack_name")
@click.option("--force", is_flag=True, help="Do not ask first.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the deletion to its end.")
@_place
def delete_stack(stack_name: str, force: bool, wait: bool, region: str | None, profile: str | None) -> None:
    """Delete a stack that was deployed by these commands."""
    with _stacks(region, profile) as stacks:
        stacks.own(stack_name)
        if not force:
            click.confirm(f"Delete the stack {stack_name!r} and all that it made?", abort=True)
        stacks.delete(stack_name, wait)
    click.echo(f"The stack {stack_name!r} is deleted." if wait else f"The stack {stack_name!r} is being deleted.")


@ecs_worker.command("export-template")
@click.option("--template-type", type=click.Choice(["service", "events-only"]), prompt=True, help="The worker with the queue, or the queue alone.")
@click.option("--output-path", type=click.Path(path_type=Path, dir_okay=False), prompt=True, help="The file to write.")
@click.option("--format", "output_format", type=click.Choice(["json", "yaml"]), default="json", show_default=True, help="How it is written.")
def export_template(template_type: TemplateType, output_path: Path, output_format: str) -> None:
    """Write a CloudFormation template into a file, to change and deploy it yourself."""
    import yaml

    found = template(template_type)
    text = json.dumps(found, indent=2) if output_format == "json" else yaml.safe_dump(found, sort_keys=False)
    output_path.parent.mkdir(parents=True, exist_ok=True)
    output_path.write_text(text, encoding="utf-8")
    click.echo(f"The template is in {output_path}")


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def _told(stack: dict[str, Any]) -> dict[str, str]:
    tags = tags_in(stack)
    return {
        "stack_name": stack["StackName"],
        "status": stack["StackStatus"],
        "type": tags.get("HeadraceStackType", ""),
        "work_pool": tags.get("HeadraceWorkPool", ""),
        "created": stack["CreationTime"].isoformat() if "CreationTime" in stack else "",
    }
