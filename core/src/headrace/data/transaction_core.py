"""What a transaction does, as coroutines: begin, stage, commit or roll back, with its children. `transactions` has its two faces.

A tree of transactions is decided at its root: children that are done are staged, and what becomes of the root becomes of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headrace.client import bridge, current_run
from headrace.data.annotations import NotSet
from headrace.data.collections import AutoEnum
from headrace.data.locking.base import IsolationLevel, LockManager
from headrace.model import ids
from headrace.model.errors import ConfigurationError, ResultStorageError, TransactionRolledBack

if TYPE_CHECKING:
    from headrace.data.records import ResultRecord
    from headrace.data.results import Draft, ResultStore

Hook = Callable[[Any], Any]


class CommitMode(AutoEnum):
    """When a transaction is committed.

    LAZY: with its parent; at the top at a clean exit. EAGER: when it exits, so that a later failure does not undo it. OFF: never
    by itself; at the top a clean exit rolls it back unless `commit` was called.
    """

    EAGER = AutoEnum.auto()
    LAZY = AutoEnum.auto()
    OFF = AutoEnum.auto()


class TransactionState(AutoEnum):
    """How far a transaction is."""

    PENDING = AutoEnum.auto()
    ACTIVE = AutoEnum.auto()
    STAGED = AutoEnum.auto()
    COMMITTED = AutoEnum.auto()
    ROLLED_BACK = AutoEnum.auto()


current_transaction: ContextVar[BaseTransaction | None] = ContextVar("headrace_transaction", default=None)


class Scope(Protocol):
    """Stands for the transaction of a task run that needs none of its own, until something inside asks for one."""

    def ensure(self) -> BaseTransaction:
        """Return that transaction; made at the first call."""
        ...


current_scope: ContextVar[Scope | None] = ContextVar("headrace_transaction_scope", default=None)

_tree = RLock()  # guards the moments at which transactions of a tree, in whatever thread, learn of each other; held briefly


def get_transaction() -> BaseTransaction | None:
    """Return the transaction that the present code is in, or None."""
    return _enclosing()


def _enclosing() -> BaseTransaction | None:
    found = current_transaction.get()
    if found is not None:
        return found
    scope = current_scope.get()
    return scope.ensure() if scope is not None else None


class BaseTransaction:
    """What both kinds of transaction have in common.

    Use `transaction` or `atransaction` to open one. Besides their arguments: `label` names the owner in messages, as "task 'x'";
    `lookup_errors` says what follows when the store cannot be asked for a record: "raise", or "warn" and go on as if there were none.
    `of_task`: it belongs to a task run, whose outcome decides: a failure inside that the task handles rolls back only itself.
    """

    def __init__(
        self,
        key: str | None = None,
        store: ResultStore | None = None,
        commit_mode: CommitMode | None = None,
        isolation_level: IsolationLevel | None = None,
        overwrite: bool = False,
        write_on_commit: bool = True,
        logger: Any = None,
        label: str | None = None,
        lookup_errors: Literal["raise", "warn"] = "raise",
        of_task: bool = False,
    ) -> None:
        self.key = key
        self.state = TransactionState.PENDING
        self.commit_mode = commit_mode
        self.isolation_level = isolation_level
        self.overwrite = overwrite
        self.write_on_commit = write_on_commit
        self.label = label or (f"transaction {key!r}" if key is not None else "a transaction")
        self.children: list[BaseTransaction] = []
        self.on_commit_hooks: list[Hook] = []
        self.on_rollback_hooks: list[Hook] = []
        self.expiration: Any = None
        self.failure: BaseException | None = None
        self._store = store
        self._logger = logger
        self._lookup_errors = lookup_errors
        self._of_task = of_task
        self._parent: BaseTransaction | None = None
        self._values: dict[str, Any] = {}
        self._staged_value: Any = None
        self._record: ResultRecord[Any] | None = None
        self._written = False
        self._holder: str | None = None
        self._locked = False
        self._settled = False  # children that end from now on are on their own
        self._noticed = False
        self._token: Token[BaseTransaction | None] | None = None

    # --- questions -----------------------------------------------------------------------------------------------------

    def is_pending(self) -> bool:
        """Say whether it has not begun."""
        return self.state is TransactionState.PENDING

    def is_active(self) -> bool:
        """Say whether its work goes on."""
        return self.state is TransactionState.ACTIVE

    def is_staged(self) -> bool:
        """Say whether its work is done and waits for the parent's decision."""
        return self.state is TransactionState.STAGED

    def is_committed(self) -> bool:
        """Say whether it is committed: now, or by an earlier run that left a record under the key."""
        return self.state is TransactionState.COMMITTED

    def is_rolled_back(self) -> bool:
        """Say whether it was rolled back, as happens at once when something inside fails, even if the error was caught.

        Code that has asked and got True is taken to know: the end of its block then raises nothing.
        """
        rolled_back = self.state is TransactionState.ROLLED_BACK
        self._noticed = self._noticed or rolled_back
        return rolled_back

    @property
    def store(self) -> ResultStore:
        """Where records go: the given one, else the parent's, else that of the present run."""
        if self._store is None:
            from headrace.data.results import get_result_store

            parent = self._parent
            self._store = parent.store if parent is not None and parent._store is not None else get_result_store()
        return self._store

    @property
    def logger(self) -> Any:
        """Where messages go: the given logger, else that of the present run, else `headrace.transactions`."""
        if self._logger is not None:
            return self._logger
        frame = current_run.frame()
        if frame is not None:
            return frame.logger
        import logging

        return logging.getLogger("headrace.transactions")

    def get_parent(self) -> BaseTransaction | None:
        """Return the enclosing transaction; None at the top."""
        return self._parent

    @classmethod
    def get_active(cls) -> BaseTransaction | None:
        """Return the transaction that the present code is in, or None."""
        return _enclosing()

    # --- values --------------------------------------------------------------------------------------------------------

    def set(self, name: str, value: Any) -> None:
        """Keep a value for use later in the transaction, as by a rollback hook."""
        self._values[name] = value

    def get(self, name: str, default: Any = NotSet) -> Any:
        """Return a copy of the value kept here, else in the nearest enclosing transaction that has one, else `default`.

        Changing what is returned changes nothing kept. Raises `ValueError` for an unknown name without a default.
        """
        import copy

        here: BaseTransaction | None = self
        known: set[str] = set()
        while here is not None:
            if name in here._values:
                return copy.deepcopy(here._values[name])
            known |= here._values.keys()
            here = here._parent
        if default is not NotSet:
            return default
        from headrace.model.errors import near

        raise ValueError(f"Could not retrieve value for unknown key: {name!r}. {near(name, known)}".rstrip())

    def stage(
        self,
        value: Any,
        on_rollback_hooks: Iterable[Hook] | None = None,
        on_commit_hooks: Iterable[Hook] | None = None,
    ) -> None:
        """Say that the work is done and `value` is its result; the hooks run when it is undone or committed. Once committed,
        by an earlier run or this one, it does nothing."""
        if self.state is TransactionState.COMMITTED:
            return
        self._staged_value = value
        self.on_rollback_hooks = list(on_rollback_hooks or ())
        self.on_commit_hooks = list(on_commit_hooks or ())
        if self.state is not TransactionState.ROLLED_BACK:
            self.state = TransactionState.STAGED

    def add_child(self, transaction: BaseTransaction) -> None:
        """Take a transaction into this one."""
        with _tree:
            self.children.append(transaction)

    # --- begin ---------------------------------------------------------------------------------------------------------

    def prepare_transaction(self) -> None:
        """Join the enclosing transaction and settle what was left open. Raises `ConfigurationError` for an isolation level that
        the store cannot give."""
        self.join(_enclosing())

    def join(self, parent: BaseTransaction | None) -> None:
        """Become a child of `parent`; None: be the top."""
        self._parent = parent
        if self.commit_mode is None:
            self.commit_mode = (parent.commit_mode if parent is not None else None) or CommitMode.LAZY
        if self.isolation_level is None:
            inherited = parent.isolation_level if parent is not None else None
            possible = inherited is not None and self.key is not None and self.store.supports_isolation_level(inherited)
            self.isolation_level = inherited if possible else IsolationLevel.READ_COMMITTED
        elif self.key is not None and not self.store.supports_isolation_level(self.isolation_level):
            raise ConfigurationError(
                f"Isolation level {self.isolation_level.name} of {self.label} needs a lock manager, and its result store has none. "
                "Pass store=ResultStore(lock_manager=…), or for a cache policy .configure(lock_manager=…)."
            )
        if parent is not None:
            parent.add_child(self)

    async def open(self) -> None:
        """Begin, and make this the present transaction."""
        self.prepare_transaction()
        try:
            await self.look_up()
        except BaseException:
            if self._parent is not None:
                self._parent.children.remove(self)
            raise
        self._token = current_transaction.set(self)

    async def look_up(self) -> None:
        """Take the lock where there is one to take, and see whether the work was done before."""
        if self.state is not TransactionState.PENDING:
            return
        if self.key is None:
            self.state = TransactionState.ACTIVE
            return
        if self.isolation_level is IsolationLevel.SERIALIZABLE and not self._is_locked_above():
            await self.store.aacquire_lock(self.key, self.holder)
            self._locked = True
        try:
            if not self.overwrite:
                self._record = await self._find()
        except BaseException:
            self._unlock()
            raise
        if self._record is None:
            self.state = TransactionState.ACTIVE
            return
        self.state = TransactionState.COMMITTED
        self._settled = True
        self._unlock()

    async def _find(self) -> ResultRecord[Any] | None:
        assert self.key is not None
        try:
            return await self.store.afind(self.key, self.holder)
        except ResultStorageError as error:
            if self._lookup_errors == "raise":
                raise
            self.logger.warning("No earlier result of %s could be looked for, so it runs. %s", self.label, error)
            return None

    @property
    def holder(self) -> str:
        """What the lock manager knows this transaction by."""
        if self._holder is None:
            above = self._is_locked_above()
            self._holder = above.holder if above is not None else f"{os.getpid()}:{get_ident()}:{ids.random_hex(8)}"
        return self._holder

    def _is_locked_above(self) -> BaseTransaction | None:
        """Return the enclosing transaction that holds the lock on the same key, which would otherwise never become free."""
        if self._parent is None or self.key is None:
            return None
        return self._parent.find_locked(self.key, self.store.lock_manager)

    def find_locked(self, key: str, lock_manager: LockManager | None) -> BaseTransaction | None:
        """Return this transaction or the nearest enclosing one that holds a lock on `key`."""
        here: BaseTransaction | None = self
        while here is not None:
            if here._locked and here.key == key and here.store.lock_manager == lock_manager:
                return here
            here = here._parent
        return None

    def _unlock(self) -> None:
        if self._locked and self.key is not None:
            self._locked = False
            try:
                self.store.release_lock(self.key, self.holder)
            except ValueError as error:
                self.logger.warning("The lock of %s was lost before its end: %s", self.label, error)

    async def find_record(self) -> ResultRecord[Any] | None:
        """Return the record of this transaction, of this run or an earlier one; None when there is none."""
        if self._record is None and self.key is not None:
            self._record = await self.store.afind(self.key, self.holder)
        return self._record

    # --- end -----------------------------------------------------------------------------------------------------------

    async def close(self, error: BaseException | None = None) -> None:
        """End: after an `error` roll back, and the enclosing ones with it; else commit, or leave it to the parent."""
        try:
            if error is not None:
                await self._fail(error)
            else:
                await self._succeed()
        finally:
            self.leave()

    async def discard(self) -> None:
        """End without an outcome, as for an attempt that is made again: nothing is kept, no hook runs, the parent is not told."""
        with _tree:
            if self._parent is not None and self in self._parent.children:
                self._parent.children.remove(self)
            self._settled = True
        try:
            for child in reversed(self.children):
                await child.undo()
            self.state = TransactionState.ROLLED_BACK
        finally:
            self._unlock()
            self.leave()

    def leave(self) -> None:
        """Make the enclosing transaction the present one again."""
        if self._token is not None:
            token, self._token = self._token, None
            try:
                current_transaction.reset(token)
            except ValueError:  # begun in another context, as by an earlier step of an async generator
                current_transaction.set(self._parent)

    async def _succeed(self) -> None:
        if self.state is TransactionState.ACTIVE:
            self.stage(None)
        if self.state in (TransactionState.COMMITTED, TransactionState.ROLLED_BACK):
            if self.state is TransactionState.ROLLED_BACK and self.on_rollback_hooks:
                await self._run_rollback_hooks()  # staged after the parent was rolled back: undone now
            return
        parent = self._parent
        with _tree:
            joins = parent is not None and not parent._settled and self.commit_mode is not CommitMode.EAGER
        if joins:
            return  # staged: the parent decides
        if parent is not None and parent.state is TransactionState.ROLLED_BACK:
            await self.undo()
        elif self.commit_mode is CommitMode.OFF and parent is None:
            self._noticed = True
            await self.undo()
        else:
            await self.settle()

    async def _fail(self, error: BaseException) -> None:
        self.failure = error
        await self.undo()
        parent = self._parent
        while parent is not None and not parent._of_task and parent.state in (TransactionState.ACTIVE, TransactionState.STAGED):
            parent.failure = error
            parent.logger.info(
                "%s is rolled back, and nothing more in it is kept, because %s failed inside of it: %s: %s",
                _capital(parent.label), self.label, type(error).__name__, error,
            )  # fmt: skip
            await parent.undo()
            parent = parent._parent

    async def settle(self) -> bool:
        """Commit this transaction and those staged in it: all or none.

        First everything is serialized, then all hooks run, children first, then all is written. If anything of that fails, what
        was written is removed and everything is rolled back; `failure` says why. Says whether it is committed.
        """
        if self.state in (TransactionState.COMMITTED, TransactionState.ROLLED_BACK):
            return False
        members = self._members()
        written: list[BaseTransaction] = []
        try:
            drafts = [(member, member._draft()) for member in members]
            for member in members:
                for hook in member.on_commit_hooks:
                    await member.call_hook(hook, "commit")
            for member, draft in drafts:
                if draft is not None:
                    written.append(member)
                    await member.store.awrite_drafts(draft, member.holder)
                    member._record = draft.record
        except BaseException as error:
            await self._undo_commit(error, written)
            if not isinstance(error, Exception):
                raise
            return False
        for member in members:
            member.state = TransactionState.COMMITTED
            member._unlock()
        return True

    def _members(self) -> list[BaseTransaction]:
        """Return the staged transactions of this tree in the order of commit, this one last. From now on no other joins them."""
        members: list[BaseTransaction] = []
        with _tree:
            self._settled = True
            children = [child for child in self.children if child.state is TransactionState.STAGED]
        for child in children:
            members += child._members()
        return [*members, self]

    def _draft(self) -> Draft | None:
        """Return what is to be written for this transaction alone, as bytes; None when it keeps nothing."""
        if self.key is None or not self.write_on_commit:
            return None
        record = self.store.create_result_record(self._staged_value, self.key, self.expiration)
        return self.store.draft(record, self.label)

    async def _undo_commit(self, error: BaseException, written: list[BaseTransaction]) -> None:
        self.failure = error
        self.logger.warning("%s could not be committed, so nothing of it is kept. %s: %s", _capital(self.label), type(error).__name__, error)
        for member in written:
            try:
                if not await member.store.adelete(member.key or ""):
                    self.logger.error("The record of %s stays, for its storage cannot remove things.", member.label)
            except Exception as second:  # noqa: BLE001  # the first error is the one that counts
                self.logger.error("The record of %s could not be removed: %s", member.label, second)
        await self.undo()

    async def undo(self) -> bool:
        """Roll back: run the rollback hooks, the last first, then those of the children, the last first.

        Every hook runs, whatever others raise; what they raise is logged together. Says whether all went well.
        """
        with _tree:
            if self.state in (TransactionState.COMMITTED, TransactionState.ROLLED_BACK):
                return False
            self.state = TransactionState.ROLLED_BACK
            self._settled = True
            children = [child for child in reversed(self.children) if child.state is TransactionState.STAGED]
        try:
            well = await self._run_rollback_hooks()
            for child in children:
                well = await child.undo() and well
        finally:
            self._unlock()
        return well

    async def _run_rollback_hooks(self) -> bool:
        errors: list[Exception] = []
        hooks, self.on_rollback_hooks = self.on_rollback_hooks, []
        for hook in reversed(hooks):
            try:
                await self.call_hook(hook, "rollback")
            except Exception as error:  # noqa: BLE001  # the other hooks must still run
                errors.append(error)
        if errors:
            group = ExceptionGroup(f"{len(errors)} of {len(hooks)} rollback hooks of {self.label} failed", errors)
            self.logger.error("Rolling back %s is not complete: undo by hand what these hooks did not.", self.label, exc_info=group)
        return not errors

    async def call_hook(self, hook: Hook, hook_type: str) -> None:
        """Call a hook with this transaction, and wait for it if it is async. `hook_type` is "commit" or "rollback"."""
        self.logger.debug("Running %s hook %r of %s", hook_type, getattr(hook, "__name__", hook), self.label)
        token = current_transaction.set(self)
        try:
            await bridge.settle(hook(self))
        finally:
            current_transaction.reset(token)

    def raise_if_undone(self) -> None:
        """Raise `TransactionRolledBack` when the block ended well but its work was undone, and it has not asked about that."""
        if self.state is TransactionState.ROLLED_BACK and not self._noticed:
            reason = f"{type(self.failure).__name__}: {self.failure}" if self.failure is not None else "its parent was rolled back"
            raise TransactionRolledBack(
                f"The work of {self.label} was rolled back although its block ended without an error. Reason: {reason.rstrip('.')}. "
                "Let the error pass, or ask `txn.is_rolled_back()` in the block and act on it."
            ) from self.failure

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key={self.key!r}, state={self.state.value})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
