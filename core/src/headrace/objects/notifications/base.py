"""What notification blocks over HTTP share: requests are made of body and subject, sent, and their answers judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from headrace.client.bridge import blocking
from headrace.objects.abstract import NotificationBlock
from headrace.objects.http import TIMEOUT_SECONDS, Request, send
from headrace.objects.offload import offload

NotifyType = Literal["headrace_default", "prefect_default", "info", "success", "warning", "failure"]

TITLE_DEFAULT = "Headrace Notification"
ANSWER_SHOWN_MAX = 200  # characters


class HttpNotificationBlock(NotificationBlock, ABC):
    """A notification that is one or more HTTP requests. A subclass says which."""

    _is_interface: ClassVar[bool] = True

    @abstractmethod
    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return the requests that carry a notification."""

    def allows_private_urls(self) -> bool:
        """Say whether the request may go to an address that is not public."""
        return True

    def timeout_seconds(self) -> float:
        """Return how long an answer is waited for."""
        return TIMEOUT_SECONDS

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Send a notification. A failure is logged, or raised as NotificationError inside `raise_on_failure`.

        Raises ValueError, always, when the address is private and private ones are not allowed.
        """
        for request in self.requests_for(body, subject):
            failure = await offload(self._send, request)
            if failure:
                self.report_failure(failure)

    if TYPE_CHECKING:

        def notify(self, body: str, subject: str | None = None) -> None: ...
    else:
        notify = blocking(anotify)

    def _send(self, request: Request) -> str | None:
        """Send the request and return what went wrong, without the address's path and query, where secrets are."""
        import httpx

        parts = urlsplit(request.url)
        where = f"{type(self).__name__} to {parts.scheme}://{parts.hostname}"
        try:
            answer = send(request, timeout_seconds=self.timeout_seconds(), allow_private_urls=self.allows_private_urls())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"A notification by {where} failed: {type(error).__name__}: {_without(str(error), request)}"
        if answer.is_success:
            return None
        text = _without(answer.text[:ANSWER_SHOWN_MAX], request)
        return f"A notification by {where} failed: the answer was {answer.status_code} {answer.reason_phrase}. {text}".rstrip()


def _without(text: str, request: Request) -> str:
    """Return a text without the address of the request, should it be quoted there."""
    return text.replace(request.url, "<url>")


class AbstractAppriseNotificationBlock(HttpNotificationBlock, ABC):
    """A notification of one of four sorts. The documented name; nothing of Apprise is needed."""

    _is_interface: ClassVar[bool] = True

    notify_type: NotifyType = Field(
        default="headrace_default",
        description="The type of notification being performed; the services that know sorts or priorities show it.",
    )

    @property
    def severity(self) -> Literal["info", "success", "warning", "failure"]:
        """The sort of the notification; the default is plain information."""
        return "info" if self.notify_type in ("headrace_default", "prefect_default") else self.notify_type


def heading(body: str, subject: str | None) -> str:
    """Return body and subject as one text."""
    return f"{subject}\n{body}" if subject else body
