"""What the errors of Azure's SDKs mean, and what to do about them."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from headrace.blocks.credentials import hidden
from headrace.exceptions import HeadraceException

TEXT_SIZE_MAX = 1000
"""Characters of what Azure said that go into an error."""


class AzureError(HeadraceException, RuntimeError):
    """Azure refused a request or did not answer. `code` is Azure's code of the error, if it gave one; the SDK's error is the cause."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Sort(Enum):
    """What is wrong, roughly."""

    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    MISSING = "missing"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    BUSY = "busy"
    FAULTY = "faulty"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of an SDK means: its sort, and what to do."""

    sort: Sort
    advice: str = ""


_ADVICE = {
    Sort.CREDENTIALS: "Check the tenant, the client id and its secret, or the key or SAS, and whether they have expired.",
    Sort.PERMISSION: "Give the identity a role that allows this, at the account or resource group; a new role takes some minutes to count.",
    Sort.MISSING: "Check the name, and that it is in this account, subscription and resource group.",
    Sort.UNREACHABLE: "Nothing was done. Check the address and the name in it, and whether this machine may reach it (DNS, proxy, TLS, firewall).",
    Sort.LOST: "Azure may have done it all the same. More time is given by HEADRACE_INTEGRATIONS_AZURE_READ_TIMEOUT_SECONDS.",
    Sort.BUSY: "Azure asks to come again later, or a quota is used up.",
    Sort.FAULTY: "Azure failed. Try again later.",
}
_NO_LOGIN = (
    "No credentials were found. Give tenant_id, client_id and client_secret in the credentials block, log in with `az login`, set AZURE_CLIENT_ID, "
    "AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or run where Azure has a managed identity."
)
_NOISE = ("RequestId:", "Time:", "ErrorCode:", "Code:", "Message:", "Correlation ID:", "Trace ID:", "Timestamp:")
_KEY_CODES = (
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "ExpiredAuthenticationToken",
    "InvalidAuthenticationToken",
)
_BUSY_CODES = (
    "ServerBusy",
    "TooManyRequests",
    "OperationNotAllowed",
    "ServiceUnavailable",
    "ContainerGroupQuotaReached",
    "ContainerGroupTransitioning",
)


def code_of(error: BaseException) -> str | None:
    """Return Azure's code of an error, as `BlobNotFound`; None when Azure gave none."""
    code: Any = getattr(error, "error_code", None) or getattr(getattr(error, "error", None), "code", None)
    return str(getattr(code, "value", code)) if code else None


def text_of(error: BaseException) -> str:
    """Return what Azure said, in one line, without the signature of a SAS in an address."""
    said = str(getattr(error, "message", None) or error).partition("Content:")[0].partition("Attempted credentials:")[0]
    lines = [line.strip() for line in said.splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(_NOISE))
    text = without_signatures(text)
    return text if len(text) <= TEXT_SIZE_MAX else f"{text[:TEXT_SIZE_MAX]}…"


def without_signatures(text: str) -> str:
    """Return a text in which no address has the signature of a SAS."""
    return re.sub(r"(\bsig=)[^&\s)'\"]+", r"\1********", text)


def meaning_of(error: BaseException) -> Meaning | None:
    """Return what an error of an SDK of Azure means, or None for an error of something else."""
    from azure.core import exceptions as core
    from azure.identity import CredentialUnavailableError

    is_unauthenticated = isinstance(error, core.ClientAuthenticationError)
    if isinstance(error, CredentialUnavailableError) or (is_unauthenticated and "Attempted credentials" in str(error)):
        return Meaning(Sort.CREDENTIALS, _NO_LOGIN)
    if is_unauthenticated and isinstance(error.__cause__, core.ServiceRequestError | core.ServiceResponseError):
        return _meaning(Sort.UNREACHABLE)  # where tokens are had; without one, nothing else was asked
    if isinstance(error, core.ServiceRequestError):
        return _meaning(Sort.UNREACHABLE)
    if isinstance(error, core.ServiceResponseError | core.IncompleteReadError):
        return _meaning(Sort.LOST)
    if isinstance(error, core.HttpResponseError):
        return _of_answer(error)
    return Meaning(Sort.OTHER) if isinstance(error, core.AzureError) else None


def explained(error: Exception, what: str, *secrets: Any) -> AzureError | None:
    """Return the error to raise for one of an SDK, or None for one that is not. `what` could not be done; `secrets` are left out."""
    meaning = meaning_of(error)
    if meaning is None:
        return None
    said = text_of(error).rstrip(".")
    return AzureError(hidden(f"{what}: {said}. {meaning.advice}".strip(), *secrets), code_of(error))


@contextmanager
def explaining(what: str, *secrets: Any) -> Generator[None]:
    """Raise `AzureError`, which says what to do, for errors of an SDK in the block. `what` could not be done; `secrets` are left out."""
    try:
        yield
    except AzureError:
        raise
    except Exception as error:
        found = explained(error, what, *secrets)
        if found is None:
            raise
        raise found from error


@contextmanager
def needing(extra: str) -> Generator[None]:
    """Import an SDK within this. Raises `ImportError` that names the extra which brings what is missing."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{error.name or 'An SDK'} is not installed. Get it with: pip install 'headrace-azure[{extra}]'") from error


def _of_answer(error: Any) -> Meaning:
    from azure.core.exceptions import ClientAuthenticationError

    status, code = error.status_code, code_of(error)
    if code in _BUSY_CODES or status == 429:
        return _meaning(Sort.BUSY)
    if status is not None and status >= 500:
        return _meaning(Sort.FAULTY)
    if isinstance(error, ClientAuthenticationError) or status == 401 or code in _KEY_CODES or "failed to authenticate" in str(error):
        return _meaning(Sort.CREDENTIALS)
    if status == 403:
        return _meaning(Sort.PERMISSION)
    if status == 404:
        return _meaning(Sort.MISSING)
    return Meaning(Sort.OTHER)


def _meaning(sort: Sort) -> Meaning:
    return Meaning(sort, _ADVICE[sort])
