"""What AWS's errors mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from headrace.blocks.credentials import hidden
from headrace.exceptions import HeadraceException


class AwsError(HeadraceException, RuntimeError):
    """AWS refused a request or did not answer. `code` is AWS's code of the error, if it gave one; the SDK's error is the cause."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Sort(Enum):
    """What is wrong, roughly."""

    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    MISSING = "missing"
    REGION = "region"
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of the SDK means: its sort, what to do, and whether AWS may have done what it was asked to."""

    sort: Sort
    advice: str
    is_lost: bool = False
    """Whether the answer was lost, so that there is no telling."""


_CREDENTIAL_CODES = {
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "SignatureDoesNotMatch",
    "UnrecognizedClientException", "AuthFailure", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidSignatureException",
    "RequestExpired", "RequestTimeTooSkewed", "TokenRefreshRequired",
}  # fmt: skip
_PERMISSION_CODES = {
    "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "NotAuthorized", "UnauthorizedOperation", "AuthorizationError", "403",
}  # fmt: skip
_REGION_CODES = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307", "TemporaryRedirect"}
_BUSY_CODES = {
    "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "ServiceUnavailable",
    "ServiceUnavailableException", "RequestThrottled", "RequestThrottledException", "ProvisionedThroughputExceededException",
    "BandwidthLimitExceeded", "PriorRequestNotComplete", "503", "429",
}  # fmt: skip
_LOST_CODES = {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServerException",
    "InternalServiceError",
    "RequestTimeout",
    "500",
    "502",
    "504",
}


def code_of(error: BaseException) -> str | None:
    """Return AWS's code of an error, as `NoSuchKey`; None when AWS did not answer."""
    response: Any = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) or None if isinstance(response, dict) else None


def meaning_of(error: Exception) -> Meaning | None:
    """Return what an error of boto3 or botocore means, or None for an error of something else."""
    from boto3.exceptions import Boto3Error
    from botocore import exceptions as sdk

    if isinstance(error, sdk.ClientError):
        return _of_answer(error)
    if isinstance(error, sdk.NoRegionError):
        return Meaning(Sort.REGION, "Give `region_name` in the credentials block, or set AWS_DEFAULT_REGION.")
    if isinstance(error, sdk.NoCredentialsError | sdk.PartialCredentialsError | sdk.CredentialRetrievalError | sdk.TokenRetrievalError):
        return Meaning(
            Sort.CREDENTIALS,
            "Give an access key in an AwsCredentials block, name a profile, or run where the environment or an instance's role has credentials.",
        )
    if isinstance(error, sdk.ProfileNotFound):
        return Meaning(Sort.CREDENTIALS, "Correct `profile_name`, or add the profile to the AWS configuration files of this machine.")
    if isinstance(error, sdk.EndpointConnectionError | sdk.ConnectTimeoutError | sdk.ProxyConnectionError | sdk.SSLError):
        return Meaning(
            Sort.UNREACHABLE, "Nothing was done. Check the region and `endpoint_url`, and whether this machine may reach that address (proxy, TLS)."
        )
    if isinstance(error, sdk.HTTPClientError):
        return Meaning(
            Sort.UNREACHABLE,
            "AWS may have done it all the same. A slow service can be given more time: `config={'read_timeout': ...}`.",
            is_lost=True,
        )
    if isinstance(error, sdk.BotoCoreError | Boto3Error):
        return Meaning(Sort.OTHER, "")
    return None


def _of_answer(error: Any) -> Meaning:
    code = code_of(error) or ""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _CREDENTIAL_CODES:
        return Meaning(Sort.CREDENTIALS, "The credentials are wrong or have expired. Renew them in the block, the profile or the environment.")
    if code in _PERMISSION_CODES:
        what = f" `{error.operation_name}`" if getattr(error, "operation_name", "") else " this"
        return Meaning(Sort.PERMISSION, f"The credentials do not allow{what}. Allow it in their IAM policy, or use others.")
    if code in _REGION_CODES:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
        told = f"It is in {region!r}. " if region else ""
        return Meaning(Sort.REGION, f"{told}Give the right `region_name` in the credentials block.")
    if code in _BUSY_CODES:
        return Meaning(Sort.BUSY, "AWS asks for fewer requests. Try again later.")
    if code in _LOST_CODES or status in (500, 502, 504):
        return Meaning(Sort.UNREACHABLE, "AWS failed, and may have done it all the same. Try again later.", is_lost=True)
    if "NotFound" in code or code.startswith("NoSuch") or code in ("404", "EntityNotFoundException", "QueueDoesNotExist"):
        return Meaning(Sort.MISSING, "Check its name and the region.")
    return Meaning(Sort.OTHER, "")


def text_of(error: Exception) -> str:
    """Return what AWS or the SDK said, on one line."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        told = response["Error"]
        return f"{told.get('Code', 'error')}: {told.get('Message', '')}".strip().rstrip(":")
    return f"{type(error).__name__}: {error}"


def explained(error: Exception, what: str, *secrets: Any) -> AwsError | None:
    """Return the error to raise instead of an SDK's, or None for one that is not the SDK's. `what` could not be done; `secrets` are left out."""
    meaning = meaning_of(error)
    if meaning is None:
        return None
    said = text_of(error).rstrip(".")
    return AwsError(hidden(f"{what}: {said}. {meaning.advice}".strip(), *secrets), code_of(error))


@contextmanager
def explaining(what: str, *secrets: Any) -> Generator[None]:
    """Raise `AwsError`, which says what to do, for errors of the SDK in the block. `what` could not be done; `secrets` are left out.

    The SDK's error is the cause, unless a secret is in its text.
    """
    try:
        yield
    except AwsError:
        raise
    except Exception as error:
        found = explained(error, what, *secrets)
        if found is None:
            raise
        is_open = hidden(str(error), *secrets) == str(error)
        raise found from (error if is_open else None)  # a traceback shows the cause as well
