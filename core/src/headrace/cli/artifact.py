"""`headrace artifact`: what runs published for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call, collect, limit_option, local

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.model.artifacts import Artifact, ArtifactCollection

_COMPLETED_MAX = 200
_ALL = 1_000_000_000


def complete_keys(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the keys of the artifacts to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(one.key) for one in _latest(_COMPLETED_MAX) if one.key.startswith(typed)]


@click.group("artifact", cls=Group)
def group() -> None:
    """Look at artifacts of runs and delete them."""


@group.command("ls")
@limit_option(100)
@click.option("-a", "--all", "every", is_flag=True, help="List every version, not only the latest of each key.")
@output_option
def list_artifacts(limit: int, every: bool, output: str | None) -> None:
    """List artifacts, those that changed last first."""
    if every:
        versions = _versions(limit)
        rows = [(one.id, one.key, one.type, local(one.updated)) for one in versions]
        emit(versions, output, (("id", "key", "type", "updated"), rows))
    else:
        collections = _latest(limit)
        rows = [(one.latest_id, one.key, one.type, local(one.updated)) for one in collections]
        emit(collections, output, (("id", "key", "type", "updated"), rows))


@group.command()
@click.argument("key", shell_complete=complete_keys)
@limit_option(10)
@output_option
def inspect(key: str, limit: int, output: str | None) -> None:
    """Show the versions of an artifact, the newest first."""
    versions = _versions(limit, key)
    if not versions:
        _not_found(key)
    emit(versions, output)


@group.command()
@click.argument("key", required=False, shell_complete=complete_keys)
@click.option("--id", "artifact_id", default=None, type=click.UUID, help="Delete this version alone.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(key: str | None, artifact_id: UUID | None, yes: bool) -> None:
    """Delete every version of an artifact, or one version with --id."""
    from headrace.model.endpoints.artifacts import DELETE_ARTIFACT, READ_ARTIFACT
    from headrace.model.errors import ObjectNotFound

    if (key is None) == (artifact_id is None):
        raise click.UsageError("Give either KEY or --id.")
    if key is None:
        try:
            call(READ_ARTIFACT, id=artifact_id)
        except ObjectNotFound:
            fail(f"There is no artifact {artifact_id}.", "`headrace artifact ls --all` lists them.", 4)
        confirm_delete(f"artifact {artifact_id}", yes)
        call(DELETE_ARTIFACT, id=artifact_id)
        click.echo(f"Deleted artifact {artifact_id}.")
        return
    versions = _versions(_ALL, key)
    if not versions:
        _not_found(key)
    confirm_delete(f"artifact {key!r} with its {len(versions)} version(s)", yes)
    for version in versions:
        call(DELETE_ARTIFACT, id=version.id)
    click.echo(f"Deleted artifact {key!r} with its {len(versions)} version(s).")


def _versions(limit: int, key: str | None = None) -> list[Artifact]:
    from headrace.model.artifact_queries import ArtifactFilter, ArtifactFilterKey, FilterArtifacts
    from headrace.model.endpoints.artifact_queries import FILTER_ARTIFACTS

    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key])) if key is not None else None

    def fetch(offset: int, count: int) -> Sequence[Artifact]:
        return call(FILTER_ARTIFACTS, FilterArtifacts(artifacts=wanted, offset=offset, limit=count))

    return collect(limit, fetch)


def _latest(limit: int) -> list[ArtifactCollection]:
    from headrace.model.artifact_queries import ArtifactCollectionSort, FilterLatestArtifacts
    from headrace.model.endpoints.artifact_queries import FILTER_LATEST_ARTIFACTS

    def fetch(offset: int, count: int) -> Sequence[ArtifactCollection]:
        body = FilterLatestArtifacts(sort=ArtifactCollectionSort.UPDATED_DESC, offset=offset, limit=count)
        return call(FILTER_LATEST_ARTIFACTS, body)

    return collect(limit, fetch)


def _not_found(key: str) -> Any:
    from headrace.model.errors import near

    hint = near(key, [one.key for one in _latest(_COMPLETED_MAX)]) or "`headrace artifact ls` lists them."
    fail(f"There is no artifact {key!r}.", hint, 4)
