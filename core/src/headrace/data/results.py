"""Where results go and how they come back: the store. Whether, where and how a result is kept is decided in `result_decisions`.

The document of one result is in `records`, folders and blocks are reached through `storage`, serializers are beside this file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from headrace.client import current_run
from headrace.client.bridge import blocking
from headrace.data import storage as storages
from headrace.data.locking.base import IsolationLevel, LockManager
from headrace.data.lru_cache import LRUCache
from headrace.data.records import HEADER_BYTES, ResultRecord, ResultRecordMetadata, metadata_in
from headrace.data.result_decisions import (
    aget_default_result_storage,
    akey_storage,
    aresolve_result_storage,
    get_default_result_serializer,
    resolve_serializer,
)
from headrace.data.storage import LocalStorage, ResultStorage
from headrace.model import ids
from headrace.model.errors import ConfigurationError, MissingResult

if TYPE_CHECKING:
    from headrace.data.serializers import Serializer

CACHED_RECORDS_MAX = 1000


def DEFAULT_STORAGE_KEY_FN() -> str:
    """Return a new random key."""
    return ids.random_hex()


def default_cache() -> LRUCache[ResultRecord[Any]]:
    """Return a new memory for the records of one store."""
    return LRUCache(CACHED_RECORDS_MAX)


class ResultStore:
    """Writes results under keys and reads them back.

    `result_storage`: a file system block, a `Path`, "block-type/name" or a block's id; without one the default storage of the
    settings, looked up when first needed. `metadata_storage`: where records of what is known about a result are kept apart from
    it; without one both are in one document. `lock_manager` is needed for the SERIALIZABLE isolation level.
    `cache_result_in_memory=False` keeps no values in this process. `storage_key_fn` makes keys for results without one.
    """

    def __init__(
        self,
        result_storage: Any = None,
        metadata_storage: Any = None,
        lock_manager: LockManager | None = None,
        cache_result_in_memory: bool = True,
        serializer: Serializer | str | None = None,
        storage_key_fn: Callable[[], str] = DEFAULT_STORAGE_KEY_FN,
        cache: LRUCache[ResultRecord[Any]] | None = None,
    ) -> None:
        self.result_storage: Any = result_storage
        self.metadata_storage: Any = metadata_storage
        self.lock_manager = lock_manager
        self.cache_result_in_memory = cache_result_in_memory
        self.storage_key_fn = storage_key_fn
        self.cache: LRUCache[ResultRecord[Any]] = cache if cache is not None else default_cache()
        self._serializer = serializer

    @property
    def serializer(self) -> Serializer:
        """What writes the values."""
        if self._serializer is None:
            self._serializer = get_default_result_serializer()
        elif isinstance(self._serializer, str):
            self._serializer = resolve_serializer(self._serializer)
        return self._serializer

    @property
    def result_storage_block_id(self) -> UUID | None:
        """The id of the saved block that keeps the results; None for a folder or a block that is not saved."""
        return getattr(self.result_storage, "_block_document_id", None)

    def replace(self, **changes: Any) -> Self:
        """Return a store like this one, with other values of the constructor's arguments. Both share what is held in memory,
        unless the storage changed."""
        values: dict[str, Any] = {
            "result_storage": self.result_storage,
            "metadata_storage": self.metadata_storage,
            "lock_manager": self.lock_manager,
            "cache_result_in_memory": self.cache_result_in_memory,
            "serializer": self._serializer,
            "storage_key_fn": self.storage_key_fn,
            "cache": self.cache if "result_storage" not in changes and "metadata_storage" not in changes else None,
        }
        return type(self)(**{**values, **changes})

    async def aupdate_for_flow(self, flow: Any) -> Self:
        """Return a store for the runs of a flow: its own storage and serializer, else those of this store."""
        changes = _given(result_storage=flow.result_storage, serializer=flow.result_serializer)
        return self.replace(**changes, cache_result_in_memory=flow.cache_result_in_memory)

    update_for_flow = blocking(aupdate_for_flow)

    async def aupdate_for_task(self, task: Any) -> Self:
        """Return a store for the runs of a task: its own storage, serializer, key storage and lock manager, else those of this store."""
        changes = _given(result_storage=task.result_storage, serializer=task.result_serializer)
        policy = task.cache_policy
        changes |= _given(metadata_storage=getattr(policy, "key_storage", None), lock_manager=getattr(policy, "lock_manager", None))
        return self.replace(**changes, cache_result_in_memory=task.cache_result_in_memory)

    update_for_task = blocking(aupdate_for_task)

    # --- records -------------------------------------------------------------------------------------------------------

    def create_result_record(self, obj: Any, key: str | None = None, expiration: datetime | None = None) -> ResultRecord[Any]:
        """Make a record of a value, without writing it. Without a `key` it gets a new one."""
        metadata = ResultRecordMetadata(
            storage_key=key or self.storage_key_fn(),
            expiration=expiration,
            headrace_version=_version(),
            storage_block_id=self.result_storage_block_id,
        )
        return ResultRecord[Any](obj, metadata).use(self.serializer)

    async def _storages(self) -> tuple[ResultStorage, ResultStorage | None]:
        """Return the two storages, loading blocks that are given by name."""
        if self.result_storage is None:
            self.result_storage = await aget_default_result_storage()
        elif isinstance(self.result_storage, (str, Path, UUID)):
            self.result_storage = await aresolve_result_storage(self.result_storage)
        if isinstance(self.metadata_storage, (str, Path)):
            self.metadata_storage = await akey_storage(self.metadata_storage)
        if self.metadata_storage is not None and storages.is_same_place(self.metadata_storage, self.result_storage):
            raise ConfigurationError(
                f"The cache policy's key_storage and the result_storage are the same place, {storages.describe(self.result_storage)}: what is "
                "kept of a key would overwrite its result. Leave out key_storage, or name another folder."
            )
        return self.result_storage, self.metadata_storage

    async def aexists(self, key: str) -> bool:
        """Say whether a valid record is stored under `key`, without reading a large value from a local folder.

        An expired record counts as absent, and so does one that cannot be understood (which is logged). Raises `ResultStorageError` when
        the storage could not be asked.
        """
        return await self.afind_metadata(key) is not None

    exists = blocking(aexists)

    async def afind_metadata(self, key: str) -> ResultRecordMetadata | None:
        """Return what is known about the valid record under `key`, or None; see `aexists`."""
        result_storage, metadata_storage = await self._storages()
        whole = await storages.read(metadata_storage or result_storage, key, HEADER_BYTES)
        if whole is None:
            return None
        try:
            metadata = metadata_in(whole) if metadata_storage is None else None
            if metadata is None:
                whole = await storages.read(metadata_storage or result_storage, key)
                metadata = _parse(whole, metadata_storage is not None) if whole is not None else None
        except ValueError as error:
            _warn_of_damage(key, error)
            return None
        return None if metadata is None or metadata.is_expired() else metadata

    async def afind(self, key: str, holder: str | None = None) -> ResultRecord[Any] | None:
        """Return the valid record under `key`, or None; reads it once, and only waits for a lock that somebody else holds."""
        if self.lock_manager is not None and not self.lock_manager.is_lock_holder(key, holder or self._present_holder(key)):
            await self.lock_manager.await_for_lock(key)
        result_storage, metadata_storage = await self._storages()
        if metadata_storage is None and not isinstance(result_storage, LocalStorage):
            record = await self._find_far(key, result_storage)
        else:
            record = await self._find_in_parts(key, result_storage, metadata_storage)
        if record is None:
            self.cache.drop(key)
        elif self.cache_result_in_memory:
            self.cache.put(key, record)
        return record

    async def _find_far(self, key: str, storage: ResultStorage) -> ResultRecord[Any] | None:
        """Find a whole document, which is got at once; what this process holds is only looked for, where the storage can do that."""
        held = self.cache.get(key)
        if held is not None and not held.metadata.is_expired() and await storages.is_there(storage, key):
            return held
        whole = await storages.read(storage, key)
        if whole is None:
            return None
        try:
            record = ResultRecord[Any].deserialize(whole)
        except ValueError as error:
            _warn_of_damage(key, error)
            return None
        return None if record.metadata.is_expired() else record

    async def _find_in_parts(self, key: str, storage: ResultStorage, metadata_storage: ResultStorage | None) -> ResultRecord[Any] | None:
        """Find what is known about the result first, and read the value only if this process does not hold it."""
        metadata = await self.afind_metadata(key)
        if metadata is None:
            return None
        held = self.cache.get(key)
        if held is not None and held.metadata.model_dump() == metadata.model_dump():
            return held
        if metadata_storage is not None:
            blob = await storages.read(storage, metadata.storage_key or key)
            return None if blob is None else ResultRecord[Any](metadata=metadata, blob=blob)
        whole = await storages.read(storage, key)
        try:
            return None if whole is None else ResultRecord[Any].deserialize(whole)
        except ValueError as error:
            _warn_of_damage(key, error)
            return None

    async def aread(self, key: str, holder: str | None = None) -> ResultRecord[Any]:
        """Return the record under `key`; waits for a lock on it that is not `holder`'s.

        Raises `MissingResult` when there is none or it has expired, `ResultStorageError` when the storage could not be read.
        """
        record = await self.afind(key, holder)
        if record is None:
            result_storage, _ = await self._storages()
            raise MissingResult(f"No valid result is stored under key {key!r} in {storages.describe(result_storage)}.")
        return record

    read = blocking(aread)

    async def awrite(self, obj: Any, key: str | None = None, expiration: datetime | None = None, holder: str | None = None) -> None:
        """Write a value under `key`, or under a new key. Errors as of `apersist_result_record`."""
        await self.apersist_result_record(self.create_result_record(obj, key, expiration), holder)

    write = blocking(awrite)

    async def apersist_result_record(self, result_record: ResultRecord[Any], holder: str | None = None) -> None:
        """Write a record.

        Raises `SerializationError` when the value cannot become bytes, `ResultStorageError` when the storage does not take them, and
        `RuntimeError` when somebody other than `holder` holds a lock on the key.
        """
        await self.awrite_drafts(self.draft(result_record), holder)

    persist_result_record = blocking(apersist_result_record)

    def draft(self, record: ResultRecord[Any], owner: str = "the result") -> Draft:
        """Turn a record into the bytes to write, without writing. `owner` names it in the error when that fails."""
        key = record.metadata.storage_key or self.storage_key_fn()
        if self.metadata_storage is None:
            return Draft(record, key, record.serialize(owner), None)
        return Draft(record, key, record.serialize_result(owner), record.serialize_metadata())

    async def awrite_drafts(self, draft: Draft, holder: str | None = None) -> None:
        """Write what `draft` made: first the value, then what makes it count."""
        if self.lock_manager is not None and self.lock_manager.is_locked(draft.key):
            holder = holder or self._present_holder(draft.key)
            if not self.lock_manager.is_lock_holder(draft.key, holder):
                raise RuntimeError(f"Cannot write the result record with key {draft.key!r}: it is locked by somebody else than {holder!r}.")
        result_storage, metadata_storage = await self._storages()
        await storages.write(result_storage, draft.key, draft.content)
        if metadata_storage is not None and draft.metadata is not None:
            await storages.write(metadata_storage, draft.key, draft.metadata)
        if self.cache_result_in_memory:
            self.cache.put(draft.key, draft.record)
        else:
            self.cache.drop(draft.key)

    async def adelete(self, key: str) -> bool:
        """Remove the record under `key`; False when the storage has no way to remove things."""
        result_storage, metadata_storage = await self._storages()
        self.cache.drop(key)
        removed = await storages.delete(metadata_storage, key) if metadata_storage is not None else True
        return await storages.delete(result_storage, key) and removed

    delete = blocking(adelete)

    async def areference(self, record: ResultRecord[Any]) -> dict[str, Any]:
        """Return what another process needs to read the record: its metadata, with the whole path for a local folder, or the block's id."""
        result_storage, _ = await self._storages()
        record.metadata.storage_block_id = self.result_storage_block_id  # a block that is named is loaded after the record was made
        values = record.metadata.model_dump()
        if isinstance(result_storage, LocalStorage) and record.metadata.storage_key is not None:
            values["storage_key"] = str(result_storage.locate(record.metadata.storage_key))
        return values

    # --- locks ---------------------------------------------------------------------------------------------------------

    def supports_isolation_level(self, level: IsolationLevel) -> bool:
        """Say whether transactions over this store can have that isolation level. Raises `ValueError` for an unknown one."""
        return IsolationLevel(level) is IsolationLevel.READ_COMMITTED or self.lock_manager is not None

    def _locks(self) -> LockManager:
        if self.lock_manager is None:
            raise ConfigurationError(
                "Result store is not configured with a lock manager. Pass one, as ResultStore(lock_manager=MemoryLockManager()), "
                "or use the READ_COMMITTED isolation level."
            )
        return self.lock_manager

    @staticmethod
    def generate_default_holder() -> str:
        """Return text that names this thread of this process of this machine."""
        from socket import gethostname

        return f"{gethostname()}:{os.getpid()}:{get_ident()}"

    def _present_holder(self, key: str) -> str:
        """Return as whom the present code asks: as its transaction where that has locked the key, else as this thread."""
        from headrace.data.transaction_core import current_transaction

        here = current_transaction.get()
        found = here.find_locked(key, self.lock_manager) if here is not None else None
        return found.holder if found is not None else self.generate_default_holder()

    def acquire_lock(self, key: str, holder: str | None = None, timeout: float | None = None) -> bool:
        """Lock the record under `key`; False when that was not possible within `timeout` seconds (None: wait for ever)."""
        return self._locks().acquire_lock(key, holder or self.generate_default_holder(), timeout)

    async def aacquire_lock(self, key: str, holder: str | None = None, timeout: float | None = None) -> bool:
        """Lock the record under `key`; False when that was not possible within `timeout` seconds (None: wait for ever)."""
        return await self._locks().aacquire_lock(key, holder or self.generate_default_holder(), timeout)

    def release_lock(self, key: str, holder: str | None = None) -> None:
        """Unlock the record under `key`. Raises `ValueError` when `holder` does not hold the lock."""
        self._locks().release_lock(key, holder or self.generate_default_holder())

    def is_locked(self, key: str) -> bool:
        """Say whether the record under `key` is locked."""
        return self._locks().is_locked(key)

    def is_lock_holder(self, key: str, holder: str | None = None) -> bool:
        """Say whether `holder` (this thread) holds the lock on the record under `key`."""
        return self._locks().is_lock_holder(key, holder or self.generate_default_holder())

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until the record under `key` is not locked; False when that took longer than `timeout` seconds."""
        return self._locks().wait_for_lock(key, timeout)

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until the record under `key` is not locked; False when that took longer than `timeout` seconds."""
        return await self._locks().await_for_lock(key, timeout)


class Draft:
    """A record as the bytes that will be written."""

    __slots__ = ("content", "key", "metadata", "record")

    def __init__(self, record: ResultRecord[Any], key: str, content: bytes, metadata: bytes | None) -> None:
        self.record = record
        self.key = key
        self.content = content
        self.metadata = metadata


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _parse(whole: bytes, apart: bool) -> ResultRecordMetadata:
    import json

    return ResultRecordMetadata.model_validate(json.loads(whole)) if apart else ResultRecord[Any].deserialize(whole).metadata


def _version() -> str | None:
    import headrace

    return getattr(headrace, "__version__", None)


def _warn_of_damage(key: str, error: ValueError) -> None:
    import logging

    logging.getLogger("headrace.results").warning("The record under key %r is taken as absent, for it cannot be understood: %s", key, error)


async def read_stored_result(metadata: ResultRecordMetadata) -> Any:
    """Return the value that a run's state refers to; errors as of `aread_reference` and `ResultRecord.result`."""
    return (await aread_reference(metadata)).result


async def aread_reference(metadata: ResultRecordMetadata) -> ResultRecord[Any]:
    """Return the record that the data of a run's state refers to; see `ResultStore.areference`.

    Raises `MissingResult` when it is not there any more, `ResultStorageError` when the storage could not be read.
    """
    key = metadata.storage_key or ""
    if metadata.storage_block_id is not None:
        storage, name = await aresolve_result_storage(metadata.storage_block_id), key
    elif os.path.isabs(key):
        storage, name = LocalStorage(Path(key).parent), Path(key).name
    else:
        storage, name = await aget_default_result_storage(), key
    content = await storages.read(storage, name)
    if content is None:
        raise MissingResult(f"The result that was stored at {key!r} in {storages.describe(storage)} is not there any more.")
    try:
        return ResultRecord[Any].deserialize(content)
    except ValueError:
        return ResultRecord[Any](metadata=metadata, blob=content)  # the metadata were stored apart


def get_result_store() -> ResultStore:
    """Return the store of the present run; outside runs, one by the settings."""
    frame = current_run.frame()
    found = None if frame is None else frame.result_store
    return found if found is not None else ResultStore()
