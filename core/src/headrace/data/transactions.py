"""Transactions: work that is committed or rolled back together. Blocks of code open them, and so do task runs that need one.

Every body is written once, in `transaction_core`; here `Transaction` drives it for blocking code and `AsyncTransaction` awaits it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from headrace.client.bridge import drive
from headrace.data.locking.base import IsolationLevel
from headrace.data.transaction_core import (
    BaseTransaction,
    CommitMode,
    Hook,
    TransactionState,
    get_transaction,
)
from headrace.model.errors import TransactionRolledBack

if TYPE_CHECKING:
    from headrace.data.records import ResultRecord
    from headrace.data.results import ResultStore

__all__ = [
    "AsyncTransaction",
    "BaseTransaction",
    "CommitMode",
    "IsolationLevel",
    "Transaction",
    "TransactionRolledBack",
    "TransactionState",
    "atransaction",
    "get_transaction",
    "transaction",
]


class Transaction(BaseTransaction):
    """A transaction of blocking code: `with transaction() as txn`."""

    def __enter__(self) -> Self:
        drive(self.open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        drive(self.close(error))

    def begin(self) -> None:
        """Take the lock if need be, and see whether a record exists: then the transaction is committed already."""
        drive(self.look_up())

    def read(self) -> ResultRecord[Any] | None:
        """Return the record under the key, or None."""
        return drive(self.find_record())

    def commit(self) -> bool:
        """Commit this transaction and what is staged in it. Says whether it did."""
        return drive(self.settle())

    def rollback(self) -> bool:
        """Undo this transaction and what is staged in it. Says whether all hooks went well."""
        self._noticed = True
        return drive(self.undo())

    def reset(self) -> None:
        """Make the enclosing transaction the present one again."""
        self.leave()

    def run_hook(self, hook: Hook, hook_type: str) -> None:
        """Call a hook with this transaction. `hook_type` is "commit" or "rollback"."""
        drive(self.call_hook(hook, hook_type))


class AsyncTransaction(BaseTransaction):
    """A transaction of async code: `async with atransaction() as txn`."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.close(error)

    def __enter__(self) -> Self:
        raise NotImplementedError("AsyncTransaction does not support the `with` statement. Use the `async with` statement instead.")

    def __exit__(self, *exc_info: object) -> None:
        raise NotImplementedError("AsyncTransaction does not support the `with` statement. Use the `async with` statement instead.")

    async def begin(self) -> None:
        """Take the lock if need be, and see whether a record exists: then the transaction is committed already."""
        await self.look_up()

    async def read(self) -> ResultRecord[Any] | None:
        """Return the record under the key, or None."""
        return await self.find_record()

    async def commit(self) -> bool:
        """Commit this transaction and what is staged in it. Says whether it did."""
        return await self.settle()

    async def rollback(self) -> bool:
        """Undo this transaction and what is staged in it. Says whether all hooks went well."""
        self._noticed = True
        return await self.undo()

    async def reset(self) -> None:
        """Make the enclosing transaction the present one again."""
        self.leave()

    async def run_hook(self, hook: Hook, hook_type: str) -> None:
        """Call a hook with this transaction. `hook_type` is "commit" or "rollback"."""
        await self.call_hook(hook, hook_type)


@contextmanager
def transaction(
    key: str | None = None,
    store: ResultStore | None = None,
    commit_mode: CommitMode | None = None,
    isolation_level: IsolationLevel | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
) -> Generator[Transaction, None, None]:
    """Open a transaction for the block: when it ends well all in it is committed, when it raises all is rolled back.

    `key`: with one, a record is written at commit, and a later transaction with the key finds itself `is_committed()` at once
    (unless `overwrite`); `write_on_commit=False` writes none. `store`: where, default that of the present run. `commit_mode` and
    `isolation_level`: by default as the enclosing transaction, else LAZY and READ_COMMITTED.

    Raises `TransactionRolledBack` at the end of a block that ended well but whose work was undone, as when an error inside was
    caught or the commit failed; `ConfigurationError` for SERIALIZABLE without a lock manager; `ResultStorageError` when the store
    cannot be asked for a record.
    """
    txn = Transaction(key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger)
    with txn:
        yield txn
    txn.raise_if_undone()


@asynccontextmanager
async def atransaction(
    key: str | None = None,
    store: ResultStore | None = None,
    commit_mode: CommitMode | None = None,
    isolation_level: IsolationLevel | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
) -> AsyncGenerator[AsyncTransaction, None]:
    """Open a transaction for the block of async code; see `transaction`."""
    txn = AsyncTransaction(key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger)
    async with txn:
        yield txn
    txn.raise_if_undone()
