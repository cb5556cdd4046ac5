"""The transaction of a task run that keeps nothing itself: made only when something inside opens one, so that most runs pay nothing."""

from __future__ import annotations

from contextvars import Token
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headrace.data.transaction_core import Scope, TransactionState, current_scope

if TYPE_CHECKING:
    from headrace.client.bridge import Mode
    from headrace.data.transaction_core import BaseTransaction

_making = Lock()


class TaskScope:
    """Stands for a task run's transaction while its code runs: `with TaskScope(name, mode) as scope`.

    Transactions opened inside, and those of task runs inside, become children of `scope.transaction`, which stays None when
    there are none. Whoever opened the scope ends that transaction, as any other.
    """

    __slots__ = ("_mode", "_name", "_outer", "_token", "transaction")

    def __init__(self, name: str, mode: Mode) -> None:
        self._name = name
        self._mode = mode
        self._outer = current_scope.get()
        self._token: Token[Scope | None] | None = None
        self.transaction: BaseTransaction | None = None

    def __enter__(self) -> Self:
        self._token = current_scope.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._token is not None:
            current_scope.reset(self._token)

    def ensure(self) -> BaseTransaction:
        """Return the run's transaction; made at the first call, a child of the one that its caller had."""
        from headrace.data.transactions import AsyncTransaction, Transaction

        parent = self._outer.ensure() if self._outer is not None else None
        with _making:
            if self.transaction is None:
                made = (AsyncTransaction if self._mode == "async" else Transaction)(label=f"task {self._name!r}", of_task=True)
                made.join(parent)
                made.state = TransactionState.ACTIVE
                self.transaction = made
        return self.transaction
