"""`headrace flow`: flows that have run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from headrace.cli.render import emit, output_option
from headrace.cli.runs import call, collect, limit_option, local

if TYPE_CHECKING:
    from headrace.model.flows import Flow


@click.group("flow")
def group() -> None:
    """Look at flows."""


@group.command("ls")
@limit_option(15)
@output_option
def list_flows(limit: int, output: str | None) -> None:
    """List flows, those that came last first."""
    from headrace.model.endpoints.flows import FILTER_FLOWS
    from headrace.model.flows import FlowSort
    from headrace.model.run_queries import FlowQuery

    def fetch(offset: int, count: int) -> Sequence[Flow]:
        return call(FILTER_FLOWS, FlowQuery(sort=FlowSort.CREATED_DESC, offset=offset, limit=count))

    flows = collect(limit, fetch)
    emit(flows, output, (("id", "name", "created", "tags"), [(f.id, f.name, local(f.created), ", ".join(f.tags)) for f in flows]))
