"""`deploy`: deployments for the workers of a work pool, checked together before the first is registered."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from headrace.client.bridge import blocking
from headrace.client.websocket import api_url
from headrace.deploy.deployments import RunnerDeployment, check_unique, check_work_pool
from headrace.deploy.images import DockerImage, check_engine
from headrace.model.entrypoints import EntrypointType
from headrace.model.errors import DeploymentApplyError
from headrace.objects.offload import offload
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from uuid import UUID

    from headrace.model.work_pools import WorkPool


def default_work_pool() -> str | None:
    """Return the work pool of deployments that name none, if the settings have one."""
    return get_current_settings().deployments.default_work_pool_name


async def adeploy(
    *deployments: RunnerDeployment,
    work_pool_name: str | None = None,
    image: str | DockerImage | None = None,
    build: bool = True,
    push: bool = True,
    print_next_steps_message: bool = True,
    ignore_warnings: bool = False,
) -> list[UUID]:
    """Register deployments whose runs the workers of a work pool take, and return their ids.

    `work_pool_name`: default `HEADRACE_DEFAULT_WORK_POOL_NAME`. `image`: a name or a `DockerImage`; it is built with the working directory in it, and
    pushed, unless `build` or `push` is False or the pool's type has no use for it. Flows in no remote storage need an image, unless the pool's
    workers run on this machine or the entrypoint is that of a module. `ignore_warnings` silences hints.

    Raises `ConfigurationError` without a server; `ValueError` for no deployment, two of one name, no or an unknown pool, an image that the pool
    cannot use, and a flow that workers would not find; before anything is registered. Raises `BuildError`, `PushError`, and `DeploymentApplyError`
    when the server refuses the only deployment; of several, refused ones are reported and the others registered.
    """
    api_url("A deployment")
    name = work_pool_name or default_work_pool()
    check_unique(deployments)
    if not name:
        raise ValueError("A work pool name must be provided when deploying: give work_pool_name, or set HEADRACE_DEFAULT_WORK_POOL_NAME.")
    pool = await check_work_pool(name, image)
    wanted = DockerImage(image) if isinstance(image, str) else image
    _check_code_is_found(deployments, pool, wanted)
    if wanted is not None and (build or push) and not pool.type.endswith(":managed"):
        check_engine()
        if build:
            await offload(wanted.build)
        if build and push:
            await offload(wanted.push)
    ids = await _register(deployments, name, wanted.reference if wanted is not None else None)
    if print_next_steps_message and ids:
        _say(_next_steps(deployments, pool, ignore_warnings))
    return ids


deploy = blocking(adeploy)


def _check_code_is_found(deployments: tuple[RunnerDeployment, ...], pool: WorkPool, image: DockerImage | None) -> None:
    if image is not None or pool.type == "process":
        return
    lost = [one for one in deployments if one.storage is None and one.entrypoint_type is EntrypointType.FILE_PATH]
    if lost:
        raise ValueError(
            f"Workers of pool {pool.name!r} ({pool.type}) would not find the code of {lost[0].full_name!r}, which is in a file of this machine. "
            "Either an image or remote storage location must be provided: give image=..., or use flow.from_source(...)."
        )


async def _register(deployments: tuple[RunnerDeployment, ...], pool_name: str, image: str | None) -> list[UUID]:
    ids: list[UUID] = []
    for deployment in deployments:
        try:
            ids.append(await deployment.aapply(work_pool_name=pool_name, image=image))
        except DeploymentApplyError as error:
            if len(deployments) == 1:
                raise
            _say(f"Deployment {deployment.full_name!r} was not registered: {error}")
    return ids


def _next_steps(deployments: tuple[RunnerDeployment, ...], pool: WorkPool, is_quiet: bool) -> str:
    lines = [f"Registered: {', '.join(one.full_name for one in deployments)}."]
    if not pool.type.endswith((":push", ":managed")):
        lines += ["", "To execute flow runs from these deployments, start a worker in a separate terminal:", ""]
        lines += [f"    $ headrace worker start --pool {pool.name!r}"]
    lines += ["", "To schedule a run:", "", f"    $ headrace deployment run '{deployments[0].full_name}'", ""]
    if pool.is_paused and not is_quiet:
        lines += [f"The work pool {pool.name!r} is paused, so runs wait until `headrace work-pool resume {pool.name}`.", ""]
    return "\n".join(lines)


def _say(text: Any) -> None:
    print(text, file=sys.stdout, flush=True)  # noqa: T201  # this is what the function is asked to print
