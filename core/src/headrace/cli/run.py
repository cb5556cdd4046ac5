"""`headrace run`: run a flow here, now."""

from __future__ import annotations

import click

from headrace.cli.render import output_option


@click.command("run")
@click.argument("entrypoint", metavar="FILE:FLOW")
@click.option("-p", "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; VALUE is JSON or text. Repeatable.")
@click.option("--params", "document", default=None, metavar="JSON", help="Parameters as a JSON object; - reads it from stdin.")
@output_option
@click.pass_context
def command(context: click.Context, entrypoint: str, pairs: tuple[str, ...], document: str | None, output: str | None) -> None:
    """Run the flow at FILE:FLOW (also PACKAGE.MODULE:FLOW) in this process.

    Parameters are checked before there is a run. Exits with 0 if the run completed, 6 if it was cancelled, else 1.
    """
    from headrace.cli.running import check_parameters, conclude, load, read_parameters, run_flow

    given = read_parameters(pairs, document)
    flow = load(entrypoint)
    context.exit(conclude(run_flow(flow, check_parameters(flow, given)), output))
