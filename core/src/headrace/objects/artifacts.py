"""Artifacts: links, texts, tables, progress and images that runs publish for people."""

from __future__ import annotations

import json
import math
import sys
import warnings
from typing import Any, ClassVar, cast
from uuid import UUID

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.client.current_run import run_ids
from headrace.client.interface import Client
from headrace.model.artifacts import Artifact as ArtifactResponse
from headrace.model.artifacts import ArtifactCreate, ArtifactKey, ArtifactUpdate
from headrace.model.base import Action
from headrace.model.endpoints.artifacts import CREATE_ARTIFACT, UPDATE_ARTIFACT
from headrace.objects.events import emit_event


class Artifact(Action):
    """Something to look at that a run made.

    `key` gives it a place in the list of artifacts, where a new one of the same key is a new version; it consists of `a-z`, `0-9` and `-`.
    Without a key it is seen at its run only. `data` is what is stored, and `type` says how it is shown.
    """

    type: str | None = None
    key: ArtifactKey = None
    description: str | None = None
    data: Any = None

    async def aformat(self) -> Any:
        """Return the data as it is stored."""
        return json.dumps(self.data)

    async def acreate(self, client: Client | None = None) -> ArtifactResponse:
        """Store the artifact under the current flow run and task run, and return what was stored.

        Outside a run it is stored all the same, with a `FutureWarning`.
        """
        flow_run_id, task_run_id = run_ids()
        if flow_run_id is None and task_run_id is None:
            warnings.warn(
                "Artifact creation outside of a flow or task run is deprecated: this artifact belongs to no run. Create it inside one.",
                FutureWarning,
                stacklevel=_level_of_user(),
            )
        body = ArtifactCreate(
            type=self.type,
            key=self.key,
            description=self.description,
            data=await self.aformat(),
            flow_run_id=flow_run_id,
            task_run_id=task_run_id,
        )
        made = await (client or current_client()).call(CREATE_ARTIFACT, body)
        resource = {"prefect.resource.id": f"prefect.artifact.{made.id}"}
        if made.key:
            resource["prefect.resource.name"] = made.key
        payload = {"key": made.key, "type": made.type, "description": made.description}
        emit_event("prefect.artifact.created", resource, payload=payload)
        return made

    @classmethod
    async def aget(cls, key: str | None = None, client: Client | None = None) -> ArtifactResponse | None:
        """Return the artifact of `key` that changed last, or None."""
        from headrace.model.artifact_queries import ArtifactFilter, ArtifactFilterKey, ArtifactSort, FilterArtifacts
        from headrace.model.endpoints.artifact_queries import FILTER_ARTIFACTS

        body = FilterArtifacts(
            artifacts=ArtifactFilter(key=ArtifactFilterKey(any_=[key])) if key is not None else None,
            limit=1,
            sort=ArtifactSort.UPDATED_DESC,
        )
        found = await (client or current_client()).call(FILTER_ARTIFACTS, body)
        return found[0] if found else None

    @classmethod
    async def aget_or_create(
        cls,
        key: str | None = None,
        description: str | None = None,
        data: Any = None,
        client: Client | None = None,
        **kwargs: Any,
    ) -> tuple[ArtifactResponse, bool]:
        """Return the artifact of `key` and False, or a new one and True when there is none."""
        found = await cls.aget(key, client)
        if found is not None:
            return found, False
        made = cls(key=key, description=description, **cls._with_data(data, kwargs))
        return await made.acreate(client), True

    @classmethod
    def _with_data(cls, data: Any, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "data": data}

    format = blocking(aformat)
    create = blocking(acreate)
    get = blocking(aget)
    get_or_create = blocking(aget_or_create)


class _Shown(Artifact):
    """An artifact whose one field of its own becomes the stored data."""

    _field: ClassVar[str]

    @classmethod
    def _with_data(cls, data: Any, values: dict[str, Any]) -> dict[str, Any]:
        return values if data is None or cls._field in values else {**values, cls._field: data}


class LinkArtifact(_Shown):
    """A link, shown as Markdown; `link_text` defaults to the address itself."""

    _field: ClassVar[str] = "link"

    link: str
    link_text: str | None = None
    type: str | None = "markdown"

    async def aformat(self) -> str:
        return f"[{self.link_text or self.link}]({self.link})"

    format = blocking(aformat)


class MarkdownArtifact(_Shown):
    """A text in Markdown."""

    _field: ClassVar[str] = "markdown"

    markdown: str
    type: str | None = "markdown"

    async def aformat(self) -> str:
        return self.markdown

    format = blocking(aformat)


class TableArtifact(_Shown):
    """A table: a list of rows (maps or lists), or a map from column to values. Numbers that are not numbers become null."""

    _field: ClassVar[str] = "table"

    table: dict[str, list[Any]] | list[dict[str, Any]] | list[list[Any]]
    type: str | None = "table"

    async def aformat(self) -> str:
        return json.dumps(_clean(self.table), default=str)

    format = blocking(aformat)


class ProgressArtifact(_Shown):
    """How much is done, in percent, from 0 to 100."""

    _field: ClassVar[str] = "progress"

    progress: float
    type: str | None = "progress"

    async def aformat(self) -> float:
        return _percent(self.progress)

    format = blocking(aformat)


class ImageArtifact(_Shown):
    """A picture, by its address."""

    _field: ClassVar[str] = "image_url"

    image_url: str
    type: str | None = "image"

    async def aformat(self) -> str:
        return self.image_url

    format = blocking(aformat)


def _clean(cell: Any) -> Any:
    """Replace what JSON has no word for."""
    if isinstance(cell, dict):
        return {key: _clean(value) for key, value in cast("dict[Any, Any]", cell).items()}
    if isinstance(cell, (list, tuple)):
        return [_clean(value) for value in cast("list[Any]", cell)]
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _level_of_user() -> int:
    """Return the stack level, as `warnings.warn` of our caller counts it, of the code that called into this package."""
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # as `warnings` itself does
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    return level


def _percent(progress: float) -> float:
    if not math.isfinite(progress):
        raise ValueError(f"Progress is a number from 0 to 100, not {progress!r}.")
    kept = min(100.0, max(0.0, progress))
    if kept != progress:
        warnings.warn(f"ProgressArtifact received an invalid value, Progress: {progress}%. It was set to {kept}%.", stacklevel=_level_of_user())
    return kept


async def acreate_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None, client: Client | None = None
) -> UUID:
    """Publish a link, and return the artifact's id. `key`: see `Artifact`."""
    return (await LinkArtifact(key=key, description=description, link=link, link_text=link_text).acreate(client)).id


async def acreate_markdown_artifact(markdown: str, key: str | None = None, description: str | None = None) -> UUID:
    """Publish a text in Markdown, and return the artifact's id. `key`: see `Artifact`."""
    return (await MarkdownArtifact(key=key, description=description, markdown=markdown).acreate()).id


async def acreate_table_artifact(
    table: dict[str, list[Any]] | list[dict[str, Any]] | list[list[Any]], key: str | None = None, description: str | None = None
) -> UUID:
    """Publish a table (see `TableArtifact`), and return the artifact's id. `key`: see `Artifact`."""
    return (await TableArtifact(key=key, description=description, table=table).acreate()).id


async def acreate_progress_artifact(progress: float, key: str | None = None, description: str | None = None) -> UUID:
    """Publish how much is done, in percent, and return the artifact's id for `update_progress_artifact`.

    What is below 0 or above 100 becomes 0 or 100, with a warning. `key`: see `Artifact`.
    """
    return (await ProgressArtifact(key=key, description=description, progress=progress).acreate()).id


async def aupdate_progress_artifact(artifact_id: UUID, progress: float, description: str | None = None, client: Client | None = None) -> UUID:
    """Change how much is done, and the description if one is given; return the id. Raises `ObjectNotFound`."""
    body = ArtifactUpdate(data=_percent(progress))
    if description is not None:
        body = ArtifactUpdate(data=body.data, description=description)
    await (client or current_client()).call(UPDATE_ARTIFACT, body, id=artifact_id)
    resource = {"prefect.resource.id": f"prefect.artifact.{artifact_id}"}
    emit_event("prefect.artifact.updated", resource, payload=body.model_dump(exclude_unset=True))
    return artifact_id


async def acreate_image_artifact(image_url: str, key: str | None = None, description: str | None = None) -> UUID:
    """Publish a picture by its address, and return the artifact's id. `key`: see `Artifact`."""
    return (await ImageArtifact(key=key, description=description, image_url=image_url).acreate()).id


create_link_artifact = blocking(acreate_link_artifact)
create_markdown_artifact = blocking(acreate_markdown_artifact)
create_table_artifact = blocking(acreate_table_artifact)
create_progress_artifact = blocking(acreate_progress_artifact)
update_progress_artifact = blocking(aupdate_progress_artifact)
create_image_artifact = blocking(acreate_image_artifact)
