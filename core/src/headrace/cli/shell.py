"""`headrace shell`: run shell commands as flows."""

from __future__ import annotations

import click

from headrace.cli.groups import Group
from headrace.cli.render import fail, output_option


@click.group("shell", cls=Group)
def group() -> None:
    """Run shell commands as flows, here or by a schedule."""


@group.command()
@click.argument("command")
@click.option("--log-output/--no-log-output", default=True, help="Write what the command prints to the run's log.")
@click.option("--flow-run-name", default=None, help="The name of the run.")
@click.option("--flow-name", default="Shell Command", show_default=True, help="The name of the flow.")
@click.option("--stream-stdout/--no-stream-stdout", default=True, help="Write it line by line, as it comes.")
@click.option("--tag", "tags", multiple=True, help="A tag of the run. Repeatable.")
@output_option
@click.pass_context
def watch(
    context: click.Context,
    command: str,
    log_output: bool,
    flow_run_name: str | None,
    flow_name: str,
    stream_stdout: bool,
    tags: tuple[str, ...],
    output: str | None,
) -> None:
    """Run COMMAND in the shell as a flow run. Exits with 0 if it did, else 1."""
    from headrace.cli.running import conclude, run_flow
    from headrace.deploy.shell import shell_flow
    from headrace.engine.context import tags as tagged

    flow = shell_flow(flow_name, flow_run_name=flow_run_name)
    given = {"command": command, "log_output": log_output, "stream_stdout": stream_stdout, "log_stderr": True, "popen_kwargs": None}
    with tagged(*tags):
        state = run_flow(flow, given)
    context.exit(conclude(state, output))


@group.command()
@click.argument("command")
@click.option("--flow-name", required=True, help="The name of the flow.")
@click.option("--deployment-name", default="CLI Runner Deployment", show_default=True, help="The name of the deployment.")
@click.option("--tag", "--deployment-tag", "tags", multiple=True, help="A tag of the deployment. Repeatable.")
@click.option("--log-output/--no-log-output", default=True, help="Write what the command prints to the run's log.")
@click.option("--stream-stdout/--no-stream-stdout", default=True, help="Write it line by line, as it comes.")
@click.option("--cron-schedule", default=None, metavar="CRON", help="When to run it, as '0 6 * * *'.")
@click.option("--timezone", default=None, help="The time zone of the schedule, as Europe/Berlin.")
@click.option("--concurrency-limit", type=click.IntRange(min=1), default=None, help="How many runs at once.")
@click.option("--run-once", is_flag=True, help="Run it once, now, and end.")
@click.pass_context
def serve(
    context: click.Context,
    command: str,
    flow_name: str,
    deployment_name: str,
    tags: tuple[str, ...],
    log_output: bool,
    stream_stdout: bool,
    cron_schedule: str | None,
    timezone: str | None,
    concurrency_limit: int | None,
    run_once: bool,
) -> None:
    """Make a deployment that runs COMMAND in the shell, and run its runs here until this process is told to stop."""
    from headrace.settings import get_current_settings

    if timezone is not None and cron_schedule is None:
        raise click.UsageError("--timezone needs --cron-schedule.")
    parameters = {"command": command, "log_output": log_output, "stream_stdout": stream_stdout, "log_stderr": True}
    if run_once:
        from headrace.cli.running import conclude, run_flow
        from headrace.deploy.shell import shell_flow

        context.exit(conclude(run_flow(shell_flow(flow_name), {**parameters, "popen_kwargs": None}), None))
    if not get_current_settings().api.url:
        fail("Serving a command needs a server.", "Start one with `headrace server start` and set HEADRACE_API_URL to its address.")
    from headrace.deploy.deployments import RunnerDeployment
    from headrace.deploy.serving import serve as serve_deployments
    from headrace.model.schedules import CronSchedule

    deployment = RunnerDeployment.from_entrypoint(
        "headrace.deploy.shell.shell_command",
        deployment_name,
        flow_name,
        parameters=parameters,
        tags=list(tags),
        schedule=CronSchedule(cron=cron_schedule, timezone=timezone) if cron_schedule is not None else None,
    )
    serve_deployments(deployment, limit=concurrency_limit)
