"""`headrace sdk`: Python files for calling deployments."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.deployments.finding import complete_deployments
from headrace.cli.groups import Group
from headrace.cli.render import fail
from headrace.cli.runs import complete_flows, impatient


@click.group("sdk", cls=Group)
def group() -> None:
    """Generate typed Python for calling deployments."""


@group.command()
@click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("-f", "--flow", "flows", multiple=True, shell_complete=complete_flows, help="The deployments of this flow. Repeatable.")
@click.option("-d", "--deployment", "deployments", multiple=True, metavar="FLOW/DEPLOYMENT", shell_complete=complete_deployments, help="Repeatable.")
def generate(file: Path, flows: tuple[str, ...], deployments: tuple[str, ...]) -> None:
    """Write a Python file with a typed handle of each deployment, of all or of those that are named. It replaces the file."""
    from headrace.deploy.sdk import SDKGeneratorError, generate_sdk

    try:
        with impatient():
            result = generate_sdk(file, flows, deployments)
    except SDKGeneratorError as error:
        fail(str(error))
    for warning in result.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(f"Wrote {result.deployment_count} deployments of {result.flow_count} flows to {file}.")
