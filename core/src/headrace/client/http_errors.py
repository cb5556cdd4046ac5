"""What an answer that says no stands for: the errors that operations raise in this process, read from the four shapes of bodies."""

from __future__ import annotations

import json
from typing import Any, cast

from headrace.client.transport import Answer
from headrace.model.errors import (
    HeadraceException,
    HeadraceHTTPStatusError,
    InvalidRequest,
    LeaseGone,
    ObjectAlreadyExists,
    ObjectLimitReached,
    ObjectNotFound,
    ProtectedBlockError,
    SlotsUnavailable,
)

_PLAIN = {404: ObjectNotFound, 409: ObjectAlreadyExists, 410: LeaseGone}


def error_of(answer: Answer, method: str, url: str) -> HeadraceException:
    """Return the exception to raise for an answer with an error status."""
    status = answer.status
    text = _text(answer)
    reason = answer.headers.get("x-headrace-reason")
    if reason is not None:
        text = f"{text}: {reason}"
    if status in _PLAIN:
        return _PLAIN[status](text)
    if status == 423:
        return SlotsUnavailable(text, retry_after(answer))
    if status in (400, 405, 413, 422):
        return InvalidRequest(text, status)
    if status == 403 and "limit" in text.lower():
        return ObjectLimitReached(text)
    if status == 403 and "rotected" in text:
        return ProtectedBlockError(text)
    return HeadraceHTTPStatusError(f"{method} {url} was answered with status {status}: {text.rstrip('.')}.{_advice(answer)}", status)


def _advice(answer: Answer) -> str:
    if answer.status == 401:
        return " Set HEADRACE_API_AUTH_STRING to the `user:password` of the server."
    if 300 <= answer.status < 400:
        return f" It points to {answer.headers.get('location', 'another address')}: set HEADRACE_API_URL to where the API really is."
    return ""


def is_csrf_refusal(answer: Answer) -> bool:
    """Say whether a request was refused because its CSRF token is missing or has expired."""
    return answer.status == 403 and b"CSRF token" in answer.body


def retry_after(answer: Answer) -> float:
    """Return the seconds that the server asks to wait for, 0 when it asks nothing that can be understood."""
    try:
        return max(float(answer.headers.get("retry-after", "0")), 0.0)
    except ValueError:
        return 0.0


def _text(answer: Answer) -> str:
    try:
        body: Any = json.loads(answer.body)
    except ValueError:
        return answer.body[:500].decode("utf-8", "replace") or "no explanation"
    if not isinstance(body, dict):
        return str(body)[:500]
    told = cast("dict[str, Any]", body)
    if isinstance(told.get("exception_detail"), list):
        return _invalid(told["exception_detail"])
    for key in ("detail", "exception_message"):
        if isinstance(told.get(key), str):
            return told[key]
    if isinstance(told.get("error"), dict):
        error = told["error"]
        return f"{error.get('message')} (line {error.get('line')})"
    return str(cast("object", body))[:500]


def _invalid(problems: list[Any]) -> str:
    told = [f"{'.'.join(str(part) for part in one.get('loc', ())[1:])}: {one.get('msg', one)}" for one in problems[:5]]
    return "; ".join(line.removeprefix(": ") for line in told)
