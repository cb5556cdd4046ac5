"""What flows can do beyond running here: be deployed, be served, be read from a source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from headrace.client.bridge import blocking
from headrace.deploy.deployments import RunnerDeployment, deployment_options
from headrace.model.entrypoints import EntrypointType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from uuid import UUID

    from headrace.deploy.deployments import OneOrMore
    from headrace.deploy.images import DockerImage
    from headrace.deploy.schedules import Schedule
    from headrace.deploy.storage import RunnerStorage
    from headrace.deploy.versions import VersionType
    from headrace.engine.flow import Flow
    from headrace.model.deployments import ConcurrencyLimitConfig


class FlowMethods:
    """Methods of `Flow`."""

    async def ato_deployment(
        self,
        name: str,
        interval: OneOrMore[float] | OneOrMore[timedelta] | None = None,
        cron: OneOrMore[str] | None = None,
        rrule: OneOrMore[str] | None = None,
        paused: bool | None = None,
        schedule: Schedule | Any | None = None,
        schedules: Sequence[Any] | None = None,
        concurrency_limit: int | ConcurrencyLimitConfig | None = None,
        parameters: dict[str, Any] | None = None,
        triggers: Sequence[Any] | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        version: str | None = None,
        version_type: VersionType | str | None = None,
        enforce_parameter_schema: bool = True,
        work_pool_name: str | None = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
        entrypoint_type: EntrypointType = EntrypointType.FILE_PATH,
    ) -> RunnerDeployment:
        """Describe a deployment of this flow, to be given to `serve` or `deploy`; nothing is registered yet.

        When runs begin is said by one of `interval` (seconds or timedelta), `cron`, `rrule` (each one value or several), `schedule` and `schedules`,
        or by none. What the rest means is told by `RunnerDeployment`. Raises as `RunnerDeployment.from_flow`.
        """
        options = deployment_options(locals())
        return RunnerDeployment.from_flow(cast("Flow[..., Any]", self), name, entrypoint_type=entrypoint_type, **options)

    to_deployment = blocking(ato_deployment)

    def serve(
        self,
        name: str | None = None,
        interval: OneOrMore[float] | OneOrMore[timedelta] | None = None,
        cron: OneOrMore[str] | None = None,
        rrule: OneOrMore[str] | None = None,
        paused: bool | None = None,
        schedule: Schedule | Any | None = None,
        schedules: Sequence[Any] | None = None,
        global_limit: int | ConcurrencyLimitConfig | None = None,
        triggers: Sequence[Any] | None = None,
        parameters: dict[str, Any] | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        version: str | None = None,
        enforce_parameter_schema: bool = True,
        pause_on_shutdown: bool = True,
        print_starting_message: bool = True,
        limit: int | None = None,
        webserver: bool = False,
        entrypoint_type: EntrypointType = EntrypointType.FILE_PATH,
    ) -> None:
        """Register a deployment of this flow, and run its runs here, each in a process of its own, until the program is told to stop.

        `name`: of the deployment, by default that of the flow. `limit`: runs at once in this process, default `HEADRACE_RUNNER_PROCESS_LIMIT` (5);
        `global_limit`: runs at once anywhere. `pause_on_shutdown`: pause the deployment when this ends, so that no runs pile up. `webserver`: serve
        the runner's health. The rest: see `to_deployment`.

        Raises `ConfigurationError` without a server, `RuntimeError` inside an event loop (use `aserve`), and as `to_deployment`.
        """
        from headrace.deploy.serving import serve

        options = deployment_options(locals())
        options["concurrency_limit"] = global_limit
        flow = cast("Flow[..., Any]", self)
        deployment = RunnerDeployment.from_flow(flow, Path(name).stem if name else flow.name, entrypoint_type=entrypoint_type, **options)
        serve(
            deployment,
            pause_on_shutdown=pause_on_shutdown,
            print_starting_message=print_starting_message,
            limit=limit,
            webserver=webserver,
        )

    async def adeploy(
        self,
        name: str,
        work_pool_name: str | None = None,
        image: str | DockerImage | None = None,
        build: bool = True,
        push: bool = True,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
        interval: OneOrMore[float] | OneOrMore[timedelta] | None = None,
        cron: OneOrMore[str] | None = None,
        rrule: OneOrMore[str] | None = None,
        paused: bool | None = None,
        schedule: Schedule | Any | None = None,
        schedules: Sequence[Any] | None = None,
        concurrency_limit: int | ConcurrencyLimitConfig | None = None,
        triggers: Sequence[Any] | None = None,
        parameters: dict[str, Any] | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        version: str | None = None,
        version_type: VersionType | str | None = None,
        enforce_parameter_schema: bool = True,
        entrypoint_type: EntrypointType = EntrypointType.FILE_PATH,
        print_next_steps: bool = True,
        ignore_warnings: bool = False,
    ) -> UUID:
        """Register a deployment of this flow whose runs the workers of a work pool take, and return its id.

        `work_pool_name`: default `HEADRACE_DEFAULT_WORK_POOL_NAME`. `image`: what they run in; it is built with the flow's code in it, and pushed,
        unless `build` or `push` is False. A flow that is read by `from_source` needs none. The rest: see `to_deployment`. Raises as `deploy`.
        """
        from headrace.deploy.deploying import adeploy, default_work_pool

        options = deployment_options(locals())
        options["work_pool_name"] = pool = work_pool_name or default_work_pool()
        deployment = RunnerDeployment.from_flow(cast("Flow[..., Any]", self), name, entrypoint_type=entrypoint_type, **options)
        ids = await adeploy(
            deployment,
            work_pool_name=pool,
            image=image,
            build=build,
            push=push,
            print_next_steps_message=print_next_steps,
            ignore_warnings=ignore_warnings,
        )
        return ids[0]

    deploy = blocking(adeploy)

    @classmethod
    async def afrom_source(cls, source: str | Path | RunnerStorage | Any, entrypoint: str) -> Flow[..., Any]:
        """Read a flow from where its code is kept, and return it.

        `source`: the address of a git repository, a folder, an address that fsspec knows, a storage of `headrace.runner.storage` or a block that has
        `get_directory`. `entrypoint`: the flow in it, as `path/to/file.py:flow`, or the name of its module and the flow. Raises `TypeError` for
        another source, `RuntimeError` when the code cannot be pulled, and as `load_flow_from_entrypoint`.
        """
        from headrace.deploy.storage import aload_flow_from_storage, storage_of

        return await aload_flow_from_storage(storage_of(source), entrypoint)

    from_source = blocking(afrom_source)
