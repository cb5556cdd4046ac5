"""`headrace work-pool storage`: where the bundles of flows that are submitted to a pool are kept."""

from __future__ import annotations

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call

_KINDS = (
    ("s3", "AWS S3", "headrace_aws.experimental.bundles", "headrace-aws", "bucket", "aws"),
    ("gcs", "Google Cloud", "headrace_gcp.experimental.bundles", "headrace-gcp", "bucket", "gcp"),
    ("azure-blob-storage", "Azure Blob", "headrace_azure.experimental.bundles", "headrace-azure", "container", "azure-blob-storage"),
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


@configure.command("local")
@click.argument("work_pool_name")
@click.option("--folder", required=True, help="A folder that those who submit and the workers of the pool share.")
def local(work_pool_name: str, folder: str) -> None:
    """Keep bundles in a folder."""
    from pathlib import Path

    path = str(Path(folder).expanduser().resolve())
    functions = "headrace._experimental.bundles"
    _store(work_pool_name, {f"{functions}.upload": {"folder": path}}, {f"{functions}.execute": {"folder": path}})
    click.echo(f"Bundles of work pool {work_pool_name!r} are kept in {path}")


def _command(kind: str, title: str, module: str, package: str, place: str, credentials: str) -> click.Command:
    def configure_kind(work_pool_name: str, place_name: str, block_name: str) -> None:
        block = {f"{credentials.replace('-', '_')}_credentials_block_name": block_name, place: place_name, "requires": package}
        _store(work_pool_name, {f"{module}.upload": dict(block)}, {f"{module}.execute": dict(block)})
        click.echo(f"Bundles of work pool {work_pool_name!r} are kept in the {place} {place_name!r}")

    options: list[click.Parameter] = [
        click.Argument(["work_pool_name"]),
        click.Option([f"--{place}", "place_name"], required=True, help=f"The {place} to keep bundles in."),
        click.Option([f"--{credentials}-credentials-block-name", "block_name"], required=True, help="The block that holds the credentials."),
    ]
    return click.Command(kind, params=options, callback=configure_kind, help=f"Keep bundles in {title} storage; the plugin {package} brings it.")


for _line in _KINDS:
    configure.add_command(_command(*_line))


def _store(pool: str, upload: dict[str, object], execution: dict[str, object]) -> None:
    from headrace.cli.work_pool import find_pool
    from headrace.model.endpoints.work_pools import UPDATE_WORK_POOL
    from headrace.model.work_pools import WorkPoolStorageConfiguration, WorkPoolUpdate

    before = find_pool(pool).storage_configuration
    steps = WorkPoolStorageConfiguration(
        bundle_upload_step=upload, bundle_execution_step=execution, default_result_storage_block_id=before.default_result_storage_block_id
    )
    try:
        call(UPDATE_WORK_POOL, WorkPoolUpdate(storage_configuration=steps), name=pool)
    except ValueError as error:
        fail(str(error))
