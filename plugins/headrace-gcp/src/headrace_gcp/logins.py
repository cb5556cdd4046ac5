"""Credentials from what Google writes into files of credentials, by its `type`. Nothing is asked of anybody here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SERVICE_ACCOUNT = "service_account"
TYPES = (SERVICE_ACCOUNT, "authorized_user", "external_account", "external_account_authorized_user", "impersonated_service_account")
_OF_AWS = "urn:ietf:params:aws:token-type:aws4_request"


def credentials_from(info: Mapping[str, Any], scopes: Sequence[str]) -> Any:
    """Return Google's credentials, not yet refreshed. Raises `ValueError` or google.auth's errors for content that is none."""
    kind = info.get("type", SERVICE_ACCOUNT)
    if kind == SERVICE_ACCOUNT:
        from google.oauth2.service_account import Credentials as ServiceAccount

        return ServiceAccount.from_service_account_info(info, scopes=scopes)
    if kind == "authorized_user":
        from google.oauth2.credentials import Credentials as User

        return User.from_authorized_user_info(info, scopes=scopes)
    if kind == "external_account":
        return _external(info).from_info(info, scopes=scopes)
    if kind == "external_account_authorized_user":
        from google.auth.external_account_authorized_user import Credentials as ExternalUser

        return ExternalUser.from_info(info)  # its scopes were chosen when the user logged in
    if kind == "impersonated_service_account":
        from google.auth.impersonated_credentials import Credentials as Impersonated

        return Impersonated.from_impersonated_service_account_info(info, scopes=scopes)
    raise ValueError(f"There are no credentials of the type {kind!r}. There are {', '.join(TYPES)}.")


def _external(info: Mapping[str, Any]) -> Any:
    """Return the class for workload identity federation: with AWS, with a program that gives tokens, with files, addresses and certificates."""
    if info.get("subject_token_type") == _OF_AWS:
        from google.auth.aws import Credentials as Aws

        return Aws
    if "executable" in (info.get("credential_source") or {}):
        from google.auth.pluggable import Credentials as Pluggable

        return Pluggable
    from google.auth.identity_pool import Credentials as IdentityPool

    return IdentityPool
