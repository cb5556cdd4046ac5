"""`serve`: a runner for some deployments, from its first word to its last."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

from headrace.client.bridge import loop_is_running
from headrace.client.websocket import api_url
from headrace.deploy.deployments import RunnerDeployment, check_unique
from headrace.deploy.runner import Runner
from headrace.settings import get_current_settings


def serve(
    *args: RunnerDeployment,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
    limit: int | None = None,
    **kwargs: Any,
) -> None:
    """Register deployments, and run their runs here, each in a process of its own, until the program is told to stop (Ctrl-C, SIGTERM).

    `limit`: runs at once, default `HEADRACE_RUNNER_PROCESS_LIMIT`. `pause_on_shutdown`: pause the deployments at the end, so that no runs pile up.
    Others go to `Runner`. Raises `RuntimeError` inside an event loop, `ConfigurationError` without a server, `ValueError` for no deployment or
    two of one name; and as `RunnerDeployment.apply`, when nothing was registered yet or some were.
    """
    if loop_is_running():
        raise RuntimeError("Cannot call `serve` in an asynchronous context, as an event loop is running. Use `await aserve(...)` instead.")
    asyncio.run(aserve(*args, pause_on_shutdown=pause_on_shutdown, print_starting_message=print_starting_message, limit=limit, **kwargs))


async def aserve(
    *args: RunnerDeployment,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
    limit: int | None = None,
    **kwargs: Any,
) -> None:
    """Register deployments and run their runs here until the program is told to stop; see `serve`."""
    api_url("Serving flows")
    check_unique(args)
    runner = Runner(pause_on_shutdown=pause_on_shutdown, limit=limit or get_current_settings().runner.process_limit, **kwargs)
    for deployment in args:
        if deployment.work_pool_name:
            runner.logger.warning(
                "Work pools are not necessary for served deployments - the `work_pool_name` argument of %s will be ignored.", deployment.full_name
            )
            deployment.work_pool_name = deployment.work_queue_name = None
            deployment.job_variables = {}
    for deployment in args:
        await runner.aadd_deployment(deployment)
    if print_starting_message:
        runner.greeting = partial(_greet, args)
    await runner.start()


def _greet(deployments: tuple[RunnerDeployment, ...]) -> None:
    names = [one.full_name for one in deployments]
    if len(names) == 1:
        lines = [f"Your flow {deployments[0].flow_name!r} is being served and polling for scheduled runs!"]
    else:
        lines = ["Your deployments are being served and polling for scheduled runs!", *(f"  {name}" for name in names)]
    lines += ["", "To trigger a run for this flow, use the following command:", f"\n    $ headrace deployment run '{names[0]}'\n"]
    print("\n".join(lines), file=sys.stdout, flush=True)  # noqa: T201  # this is what the function is asked to print
