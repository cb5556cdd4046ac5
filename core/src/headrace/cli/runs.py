"""What the commands for flow runs and task runs share: filters, paging, times and log lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from headrace.cli.render import fail

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.model.endpoints.base import Endpoint
    from headrace.model.flow_runs import FlowRun
    from headrace.model.logs import Log
    from headrace.model.states import State

R = TypeVar("R")
CommandT = TypeVar("CommandT", bound=Callable[..., Any])

PAGE = 200
FIRST_ANSWER_SECONDS_MAX = 2.0
COMPLETED_MAX = 50
STATE_NAMES = (
    "Scheduled",
    "Late",
    "AwaitingRetry",
    "AwaitingConcurrencySlot",
    "Resuming",
    "Pending",
    "Submitting",
    "InfrastructurePending",
    "NotReady",
    "Running",
    "Retrying",
    "Completed",
    "Cached",
    "RolledBack",
    "Failed",
    "TimedOut",
    "Crashed",
    "Cancelling",
    "Cancelled",
    "Paused",
    "Suspended",
)
STATE_TYPES = ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING")
_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def call(endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
    """Perform an endpoint with the client of the settings in force. A server that does not answer at all is not waited for long."""
    from headrace.client.bridge import drive
    from headrace.client.connect import current_client

    with impatient():
        return drive(current_client().call(endpoint, body, **parameters))


def impatient() -> AbstractContextManager[None]:
    """Give up soon, in this block, on a server that has never answered: somebody is waiting at a terminal."""
    from headrace.client.patience import first_answer_within

    return first_answer_within(FIRST_ANSWER_SECONDS_MAX)


def collect(limit: int, fetch: Callable[[int, int], Sequence[R]]) -> list[R]:
    """Return at most `limit` objects of `fetch(offset, count)`, asking for no more than a page at a time."""
    found: list[R] = []
    while len(found) < limit:
        count = min(PAGE, limit - len(found))
        page = fetch(len(found), count)
        found += page
        if len(page) < count:
            break
    return found


# --- what the shell completes -----------------------------------------------------------------------------------------


def complete_flows(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of flows to the shell."""
    from click.shell_completion import CompletionItem

    from headrace.model.endpoints.flows import FILTER_FLOWS
    from headrace.model.run_queries import FlowQuery

    return [CompletionItem(flow.name) for flow in call(FILTER_FLOWS, FlowQuery()) if flow.name.startswith(typed)]


def complete_flow_runs(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the ids of the latest flow runs to the shell, with their names."""
    from click.shell_completion import CompletionItem

    from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
    from headrace.model.run_queries import FlowRunQuery

    runs = call(FILTER_FLOW_RUNS, FlowRunQuery(limit=COMPLETED_MAX))
    return [CompletionItem(str(run.id), help=f"{run.name} ({run.state_name})") for run in runs if str(run.id).startswith(typed)]


def complete_task_runs(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the ids of the latest task runs to the shell, with their names."""
    from click.shell_completion import CompletionItem

    from headrace.model.endpoints.task_runs import FILTER_TASK_RUNS
    from headrace.model.run_queries import TaskRunQuery

    runs = call(FILTER_TASK_RUNS, TaskRunQuery(limit=COMPLETED_MAX))
    return [CompletionItem(str(run.id), help=f"{run.name} ({run.state_name})") for run in runs if str(run.id).startswith(typed)]


# --- options ------------------------------------------------------------------------------------------------------------


def limit_option(default: int) -> Callable[[CommandT], CommandT]:
    """Give a command the option `--limit`."""
    return click.option("--limit", type=click.IntRange(min=1), default=default, show_default=True, help="List no more than this many.")


def state_options(command: CommandT) -> CommandT:
    """Give a command the options `--state` and `--state-type`, both repeatable."""
    kinds = click.Choice(STATE_TYPES, case_sensitive=False)
    command = click.option("--state-type", "state_types", type=kinds, multiple=True, help="Only runs in a state of this type. Repeatable.")(command)
    return click.option(
        "--state", "states", multiple=True, metavar="NAME", callback=_state_names, help="Only runs in the state of this name. Repeatable."
    )(command)


def _state_names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    known = {name.lower(): name for name in STATE_NAMES}
    for value in values:
        if value.lower() not in known:
            from headrace.model.errors import near

            hint = near(value.capitalize(), STATE_NAMES)
            raise click.BadParameter(f"There is no state {value!r}. {hint} States are: {', '.join(STATE_NAMES)}.".replace("  ", " "))
    return tuple(known[value.lower()] for value in values)


class Since(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic since click 8.4 alone
    """A moment in the past: a span as `2h`, `30m` or `7d`, or a date and time (UTC without an offset)."""

    name = "span or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        span = _SPAN.fullmatch(value.strip())
        if span is not None:
            from headrace.model.clock import now

            return now() - timedelta(**{_UNITS[span[2]]: int(span[1])})
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            self.fail(f"{value!r} is neither a span (2h, 30m, 7d) nor a date (2024-05-01, 2024-05-01T10:00:00Z).", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def log_options(command: CommandT) -> CommandT:
    """Give a command the options that choose log lines: `head`, `tail`, `count`, `reverse`."""
    for decorate in (
        click.option("-r", "--reverse", is_flag=True, help="Newest first."),
        click.option("-n", "--num-logs", "count", type=click.IntRange(min=1), default=None, help="How many; 20 with --head or --tail."),
        click.option("-t", "--tail", is_flag=True, help="Only the last lines."),
        click.option("-h", "--head", is_flag=True, help="Only the first lines."),
    ):
        command = decorate(command)
    return command


# --- logs ---------------------------------------------------------------------------------------------------------------


def read_logs(filters: Any, head: bool, tail: bool, count: int | None, reverse: bool) -> list[Log]:
    """Return the lines that the options choose, oldest first unless `reverse`. Raises a usage error for head and tail together."""
    from headrace.model.endpoints.logs import FILTER_LOGS
    from headrace.model.logs import LogSort
    from headrace.model.run_queries import LogQuery

    if head and tail:
        raise click.UsageError("--head and --tail exclude each other.")
    newest_first = tail or (reverse and not head)
    sort = LogSort.TIMESTAMP_DESC if newest_first else LogSort.TIMESTAMP_ASC
    most = count if count is not None else 20 if head or tail else None
    limit = most if most is not None else 1_000_000_000

    def fetch(offset: int, wanted: int) -> Sequence[Log]:
        return call(FILTER_LOGS, LogQuery(logs=filters, sort=sort, offset=offset, limit=wanted))

    logs = collect(limit, fetch)
    return logs if newest_first == reverse else logs[::-1]


def read_flow_run(run_id: UUID) -> FlowRun:
    """Return a flow run. Raises `ObjectNotFound`."""
    from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

    return call(READ_FLOW_RUN, id=run_id)


def owners_of(run: FlowRun, task_run_ids: set[UUID]) -> dict[UUID, str]:
    """Return how log lines name the flow run and these task runs."""
    from headrace.model.endpoints.task_runs import FILTER_TASK_RUNS
    from headrace.model.run_filters import TaskRunFilter, TaskRunFilterId
    from headrace.model.run_queries import TaskRunQuery

    named = {run.id: f"Flow run {run.name!r}"}
    wanted = sorted(task_run_ids)
    for start in range(0, len(wanted), PAGE):
        chosen = TaskRunFilter(id=TaskRunFilterId(any_=wanted[start : start + PAGE]))
        named |= {task.id: f"Task run {task.name!r}" for task in call(FILTER_TASK_RUNS, TaskRunQuery(task_runs=chosen))}
    return named


def print_logs(logs: Iterable[Log], owners: dict[UUID, str]) -> None:
    """Print log lines for people. `owners` says who a line is of, by id of the task run, else of the flow run."""
    for log in logs:
        owner = owners.get(log.task_run_id or log.flow_run_id or UUID(int=0), "")
        level = _LEVELS.get(log.level, str(log.level))
        click.echo(f"{local(log.timestamp, 'milliseconds')} | {level:<7} | {owner}{' - ' if owner else ''}{log.message}")


# --- cells --------------------------------------------------------------------------------------------------------------


def local(moment: datetime | None, precision: str = "seconds") -> str:
    """Return a time as people read it, in the machine's zone; "" for none."""
    if moment is None:
        return ""
    return moment.astimezone().replace(tzinfo=None).isoformat(" ", precision)


def state_cell(state: State | None) -> str:
    """Return a state's name; "" for none."""
    return (state.name or "") if state is not None else ""


def open_in_browser(kind: str, run_id: UUID) -> None:
    """Open the page of a run in the user interface. Ends the command where there is none."""
    from headrace.settings import get_current_settings

    url = get_current_settings().ui_url
    if not url:
        fail("There is no user interface to open: runs are kept in the embedded database.", "Set HEADRACE_API_URL or HEADRACE_UI_URL.")
    click.launch(f"{url.rstrip('/')}/runs/{kind}/{run_id}")
