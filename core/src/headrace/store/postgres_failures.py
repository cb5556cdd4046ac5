"""What PostgreSQL and the way to it can answer, told once and clearly: what happened, why, what to do."""

from __future__ import annotations

import psycopg
from psycopg import errors

from headrace.model.errors import StoreConflict, StoreContention, StoreError, StoreUnavailable

_CONTENTION = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
_UNAVAILABLE = (errors.QueryCanceled, errors.TooManyConnections, errors.CannotConnectNow, errors.AdminShutdown, errors.CrashShutdown)
_REFUSED = (
    (errors.InvalidPassword, "The user or the password is wrong."),
    (errors.InvalidAuthorizationSpecification, "This user may not connect."),
    (errors.InvalidCatalogName, "There is no such database. Create it first: createdb NAME."),
    (errors.InsufficientPrivilege, "This user may not do that there. Give it rights on the schema, or name another user."),
    (errors.ReadOnlySqlTransaction, "The server only reads: it is a standby, or was set to `default_transaction_read_only`."),
    (errors.DiskFull, "Its disk is full, so nothing could be written. Free some space there."),
)


def reraise(error: BaseException, place: str) -> None:
    """Raise a `StoreError` in place of the driver's error about the database `place`; return for every other.

    A number that no column holds raises `OverflowError`, as it does with SQLite.
    """
    if not isinstance(error, psycopg.Error):
        return
    said = " ".join((error.diag.message_primary or str(error)).split()).rstrip(".?") or type(error).__name__
    if isinstance(error, errors.NumericValueOutOfRange):
        raise OverflowError(said) from error
    if isinstance(error, psycopg.IntegrityError):
        raise StoreConflict(said) from error
    if isinstance(error, _CONTENTION):
        raise StoreContention(f"The database {place} took the transaction back, because others changed the same: {said}.") from error
    if isinstance(error, errors.QueryCanceled):
        raise StoreUnavailable(
            f"The database {place} ended a statement that took too long: {said}. HEADRACE_SERVER_DATABASE_TIMEOUT says how long one may take."
        ) from error
    for kind, advice in _REFUSED:
        if isinstance(error, kind):
            raise StoreError(f"The database {place} cannot be used: {said}. {advice}") from error
    if isinstance(error, _UNAVAILABLE) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
        text = said.lower()
        for sign, advice in (("does not exist", "Create it first, or name another."), ("password", "Check the user and the password.")):
            if sign in text:
                raise StoreError(f"The database {place} cannot be used: {said}. {advice}") from error
        raise StoreUnavailable(
            f"The database {place} does not answer: {said}. Check that it runs and that HEADRACE_SERVER_DATABASE_CONNECTION_URL names it."
        ) from error
    if isinstance(error, psycopg.OperationalError):
        raise StoreUnavailable(f"The database {place} could not do it now: {said}.") from error
