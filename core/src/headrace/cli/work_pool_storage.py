"""`headrace work-pool storage`: where the bundles of flows that are submitted to a pool are kept."""

from __future__ import annotations

from typing import Any

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call

_KINDS = (
    ("s3", "AWS S3", "headrace_aws.experimental.bundles", "headrace-aws", "bucket", "aws"),
    ("gcs", "Google Cloud", "headrace_gcp.experimental.bundles", "headrace-gcp", "bucket", "gcp"),
    ("azure-blob-storage", "Azure Blob", "headrace_azure.experimental.bundles", "headrace-azure[blob_storage]", "container", "azure-blob-storage"),
)


@click.group("storage", cls=Group)
def group() -> None:
    """Look at and choose where bundles of flows are kept."""


@group.command()
@click.argument("work_pool_name")
@output_option
def inspect(work_pool_name: str, output: str | None) -> None:
    """Show where the bundles of a pool are kept."""
    from headrace.cli.work_pool import find_pool

    emit(find_pool(work_pool_name).storage_configuration, output)


@group.group()
def configure() -> None:
    """Choose where the bundles of a pool are kept."""


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

    path = str(Path(folder).expanduser().resolve())
    functions = "headrace._experimental.bundles"
    _store(work_pool_name, functions, {"folder": path}, launchers)
    click.echo(f"Bundles of work pool {work_pool_name!r} are kept in {path}")


local.params.extend(_launcher_options())


def _command(kind: str, title: str, module: str, package: str, place: str, credentials: str) -> click.Command:
    plugin = package.partition("[")[0]
    is_block_needed = kind == "azure-blob-storage"  # without one, not even the account is known

    def configure_kind(work_pool_name: str, place_name: str, block_name: str | None, **launchers: Any) -> None:
        block = {f"{credentials.replace('-', '_')}_credentials_block_name": block_name} if block_name else {}
        _store(work_pool_name, module, {**block, place: place_name, "requires": package}, launchers)
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


def _store(pool: str, module: str, inputs: dict[str, Any], launchers: dict[str, Any]) -> None:
    from headrace.cli.work_pool import find_pool
    from headrace.model.endpoints.work_pools import UPDATE_WORK_POOL
    from headrace.model.work_pools import WorkPoolStorageConfiguration, WorkPoolUpdate

    upload, execution = (
        {f"{module}.{name}": {**inputs, **({"launcher": launcher} if launcher else {})}}
        for name, launcher in zip(("upload", "execute"), _launchers(launchers), strict=True)
    )
    before = find_pool(pool).storage_configuration
    steps = WorkPoolStorageConfiguration(
        bundle_upload_step=upload, bundle_execution_step=execution, default_result_storage_block_id=before.default_result_storage_block_id
    )
    try:
        call(UPDATE_WORK_POOL, WorkPoolUpdate(storage_configuration=steps), name=pool)
    except ValueError as error:
        fail(str(error))
