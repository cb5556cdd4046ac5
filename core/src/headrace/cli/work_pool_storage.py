"""`headrace work-pool storage`: where the bundles of flows that are submitted to a pool are kept, and the results of their runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call

if TYPE_CHECKING:
    from headrace.model.work_pools import WorkPool

_KINDS = (
    ("s3", "AWS S3", "headrace_aws.experimental.bundles", "headrace-aws", "bucket", "aws"),
    ("gcs", "Google Cloud", "headrace_gcp.experimental.bundles", "headrace-gcp", "bucket", "gcp"),
    ("azure-blob-storage", "Azure Blob", "headrace_azure.experimental.bundles", "headrace-azure[blob_storage]", "container", "azure-blob-storage"),
)


@click.group("storage", cls=Group)
def group() -> None:
    """Look at and choose where bundles of flows and results of their runs are kept."""


@group.command()
@click.argument("work_pool_name")
@output_option
def inspect(work_pool_name: str, output: str | None) -> None:
    """Show where the bundles of a pool are kept."""
    from headrace.cli.work_pool import find_pool

    emit(find_pool(work_pool_name).storage_configuration, output)


@group.group()
def configure() -> None:
    """Choose where the bundles of a pool are kept, and the results of flows that are submitted to it."""


def _launcher_options() -> list[click.Parameter]:
    found: list[click.Parameter] = []
    for phase, when in (("", "bundles are uploaded, and where they are run"), ("upload-", "bundles are uploaded"), ("execution-", "bundles are run")):
        found.append(click.Option([f"--{phase}launcher"], help=f"What starts Python where {when}. Default: uv run."))
        found.append(click.Option([f"--{phase}launcher-arg"], multiple=True, help=f"An argument for --{phase}launcher; may be repeated."))
    return found


def _launchers(given: dict[str, Any]) -> tuple[list[str] | None, list[str] | None]:
    """Return what starts Python for the upload and for the execution; what is said of one of them goes before what is said of both."""
    found: list[list[str] | None] = []
    for phase in ("upload_", "execution_"):
        own, program = given[f"{phase}launcher_arg"], given[f"{phase}launcher"] or given["launcher"]
        words = own if own or given[f"{phase}launcher"] else given["launcher_arg"]
        if words and not program:
            fail("An argument for a launcher needs a launcher: give --launcher too.")
        found.append([program, *words] if program else None)
    return found[0], found[1]


@configure.command("local")
@click.argument("work_pool_name")
@click.option("--folder", required=True, help="A folder that those who submit and the workers of the pool share.")
def local(work_pool_name: str, folder: str, **launchers: Any) -> None:
    """Keep bundles in a folder."""
    from pathlib import Path

    from headrace.deploy.bundles.results import save_local_storage

    path = str(Path(folder).expanduser().resolve())
    functions = "headrace._experimental.bundles"
    _store(work_pool_name, functions, {"folder": path}, launchers, lambda pool: save_local_storage(pool, path))
    click.echo(f"Bundles of work pool {work_pool_name!r} are kept in {path}")


local.params.extend(_launcher_options())


def _command(kind: str, title: str, module: str, package: str, place: str, credentials: str) -> click.Command:
    plugin = package.partition("[")[0]
    is_block_needed = kind == "azure-blob-storage"  # without one, not even the account is known

    def configure_kind(work_pool_name: str, place_name: str, block_name: str | None, **launchers: Any) -> None:
        from headrace.deploy.bundles.results import save_storage

        block = {f"{credentials.replace('-', '_')}_credentials_block_name": block_name} if block_name else {}
        login = f"{credentials}-credentials/{block_name}" if block_name else None
        inputs = {**block, place: place_name, "requires": package}
        _store(work_pool_name, module, inputs, launchers, lambda pool: save_storage(pool, kind, place_name, login))
        click.echo(f"Bundles of work pool {work_pool_name!r} are kept in the {place} {place_name!r}")

    options: list[click.Parameter] = [
        click.Argument(["work_pool_name"]),
        click.Option([f"--{place}", "place_name"], required=True, help=f"The {place} to keep bundles in."),
        click.Option(
            [f"--{credentials}-credentials-block-name", "block_name"],
            required=is_block_needed,
            help="The block to log in with." + ("" if is_block_needed else " Default: what the machine offers."),
        ),
        *_launcher_options(),
    ]
    return click.Command(kind, params=options, callback=configure_kind, help=f"Keep bundles in {title} storage; the plugin {plugin} brings it.")


for _line in _KINDS:
    configure.add_command(_command(*_line))


def _store(
    name: str, module: str, inputs: dict[str, Any], launchers: dict[str, Any], save_results: Callable[[WorkPool], Coroutine[Any, Any, UUID]]
) -> None:
    from headrace.cli.work_pool import find_pool
    from headrace.model.endpoints.work_pools import UPDATE_WORK_POOL
    from headrace.model.work_pools import WorkPoolStorageConfiguration, WorkPoolUpdate

    upload, execution = (
        {f"{module}.{name}": {**inputs, **({"launcher": launcher} if launcher else {})}}
        for name, launcher in zip(("upload", "execute"), _launchers(launchers), strict=True)
    )
    pool = find_pool(name)
    results = _saved_for_results(pool, save_results) or pool.storage_configuration.default_result_storage_block_id
    steps = WorkPoolStorageConfiguration(bundle_upload_step=upload, bundle_execution_step=execution, default_result_storage_block_id=results)
    try:
        call(UPDATE_WORK_POOL, WorkPoolUpdate(storage_configuration=steps), name=name)
    except ValueError as error:
        fail(str(error))


def _saved_for_results(pool: WorkPool, save: Callable[[WorkPool], Coroutine[Any, Any, UUID]]) -> UUID | None:
    """Save the block that keeps results in the same storage; None, with a warning, where the plugin that has such blocks is missing."""
    from headrace.client.bridge import drive
    from headrace.model.errors import PluginError, UnknownBlockType

    try:
        return drive(save(pool))
    except (PluginError, UnknownBlockType) as error:
        click.echo(f"Warning: results of flows that are submitted stay where they run. {error} Then configure the storage again.", err=True)
        return None
    except ValueError as error:
        fail(str(error))
