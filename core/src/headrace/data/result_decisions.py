"""Whether, where and how results are kept: what the options, the settings and the surroundings decide together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client import current_run
from headrace.client.bridge import blocking
from headrace.data.storage import LocalStorage, ResultStorage

if TYPE_CHECKING:
    from headrace.data.serializers import Serializer


def _settings() -> Any:
    from headrace.settings import get_current_settings

    return get_current_settings()


async def aget_default_result_storage() -> Any:
    """Return the storage of results that name none: the block of `results.default_storage_block`, else the local folder."""
    results = _settings().results
    if results.default_storage_block is not None:
        return await aresolve_result_storage(results.default_storage_block)
    return LocalStorage(Path(results.local_storage_path))


get_default_result_storage = blocking(aget_default_result_storage)


async def aresolve_result_storage(result_storage: Any) -> Any:
    """Return the storage itself for what may name one: a block, "block-type/name", a block's id, or the `Path` of a folder.

    Raises `TypeError` for anything else, `ValueError` when no such block is saved.
    """
    if isinstance(result_storage, Path):
        return LocalStorage(result_storage)
    if isinstance(result_storage, (str, UUID)):
        from headrace.objects.blocks import Block

        if isinstance(result_storage, str):
            return await Block.aload(result_storage)
        return await Block.aload_from_ref(result_storage)
    if isinstance(result_storage, ResultStorage):
        return result_storage
    raise TypeError(
        f"Result storage must be a file system block, 'block-type/name', a block's id or a Path, not {type(result_storage).__name__!r}; "
        "an object needs the methods `read_path` and `write_path`."
    )


resolve_result_storage = blocking(aresolve_result_storage)


async def akey_storage(value: str | Path) -> Any:
    """Return the storage of cache keys: text with one slash inside is "block-type/name", any other a folder."""
    if isinstance(value, str) and value.count("/") == 1 and not value.startswith(("/", "~", ".")) and not value.endswith("/"):
        return await aresolve_result_storage(value)
    return LocalStorage(Path(value))


def resolve_serializer(serializer: Any) -> Serializer:
    """Return the serializer for a serializer or the name of its type.

    Raises `ValidationError` (a `ValueError`) for an unknown type, `TypeError` for anything else.
    """
    from headrace.data.serializers import Serializer

    if isinstance(serializer, Serializer):
        return serializer
    if isinstance(serializer, str):
        return Serializer(type=serializer)
    raise TypeError(f"Result serializer must be a serializer or the name of one, not {type(serializer).__name__!r}.")


def get_default_result_serializer() -> Serializer:
    """Return the serializer of results that name none, by the setting `results.default_serializer`."""
    return resolve_serializer(_settings().results.default_serializer)


def get_default_persist_setting() -> bool:
    """Say whether results are kept where nothing else decides: `results.persist_by_default`, or a default storage block is set."""
    results = _settings().results
    return bool(results.persist_by_default or results.default_storage_block is not None)


def get_default_persist_setting_for_tasks() -> bool:
    """Say whether results of tasks are kept where nothing else decides: `tasks.default_persist_result`, else as for all."""
    of_tasks = _settings().tasks.default_persist_result
    return get_default_persist_setting() if of_tasks is None else of_tasks


def decide_task_persistence(own: bool | None, enclosing: bool | None) -> bool:
    """Say whether a task's result is kept. In order: its own `persist_result`, the setting for tasks, the enclosing run, the default."""
    if own is not None:
        return own
    of_tasks: bool | None = _settings().tasks.default_persist_result
    if of_tasks is not None:
        return of_tasks
    return get_default_persist_setting() if enclosing is None else enclosing


def decide_flow_persistence(own: bool | None, enclosing: bool | None) -> bool:
    """Say whether a flow's result is kept. In order: its own `persist_result`, the enclosing run, the default."""
    if own is not None:
        return own
    return get_default_persist_setting() if enclosing is None else enclosing


def should_persist_result() -> bool:
    """Say whether results are kept in the present run; outside runs, by the settings."""
    frame = current_run.frame()
    return get_default_persist_setting() if frame is None else frame.persist_result


async def aget_or_create_default_task_scheduling_storage() -> Any:
    """Return where parameters of background tasks are kept: the block of `tasks.scheduling.default_storage_block`, else the folder of results."""
    tasks = _settings().tasks
    block = tasks.scheduling.default_storage_block
    if block is not None:
        return await aresolve_result_storage(block)
    return LocalStorage(Path(_settings().results.local_storage_path))


get_or_create_default_task_scheduling_storage = blocking(aget_or_create_default_task_scheduling_storage)


def storage_key_from(template: str, *, parameters: Mapping[str, Any], **objects: Any) -> str:
    """Fill in the template of `result_storage_key`: `{parameters[x]}`, `{flow_run.name}`, `{task_run.…}`, `{deployment.…}`.

    Raises `ValueError` that names the placeholder which cannot be filled in.
    """
    try:
        return template.format(**objects, parameters=parameters)
    except (KeyError, AttributeError, IndexError) as error:
        raise ValueError(
            f"The result_storage_key {template!r} cannot be filled in: {type(error).__name__}: {error}. It can use parameters "
            f"({', '.join(parameters) or 'there are none'}) as {{parameters[name]}}, and {', '.join(sorted(objects))} as {{flow_run.name}}."
        ) from error
