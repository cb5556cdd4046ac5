"""Work that is committed or rolled back together."""

from headrace.data.transactions import (
    AsyncTransaction,
    BaseTransaction,
    CommitMode,
    IsolationLevel,
    Transaction,
    TransactionRolledBack,
    TransactionState,
    atransaction,
    get_transaction,
    transaction,
)

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
