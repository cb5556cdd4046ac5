"""The block that calls any webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, SecretStr

from headrace.client.bridge import blocking
from headrace.objects.blocks import Block
from headrace.objects.fields import SecretDict
from headrace.objects.http import Request, send
from headrace.objects.offload import offload

if TYPE_CHECKING:
    from httpx import Response


class Webhook(Block):
    """Block that enables calling webhooks.

    Example:
        ```python
        from headrace.blocks.webhook import Webhook

        webhook_block = Webhook.load("BLOCK_NAME")
        webhook_block.call({"text": "Hello"})
        ```
    """

    _block_type_name: ClassVar[str | None] = "Webhook"
    _block_type_slug: ClassVar[str | None] = "webhook"

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(default="POST", description="The webhook request method. Defaults to `POST`.")
    url: SecretStr = Field(title="Webhook URL", description="The webhook URL.", examples=["https://hooks.slack.com/XXX"])
    headers: SecretDict = Field(
        default_factory=lambda: SecretDict({}), title="Webhook Headers", description="A dictionary of headers to send with the webhook request."
    )
    allow_private_urls: bool = Field(default=True, description="Whether to allow notifications to private URLs. Defaults to True.")
    verify: bool = Field(default=True, description="Whether or not to enforce a secure connection to the webhook.")

    async def acall(self, payload: dict[str, Any] | str | None = None) -> Response:
        """Send a request and return the answer, whatever its status.

        A dictionary goes as JSON, text as it is. Raises httpx.HTTPError when there is no answer, and ValueError when the address is
        private and `allow_private_urls` is False.
        """
        return await offload(self._send, payload)

    if TYPE_CHECKING:

        def call(self, payload: dict[str, Any] | str | None = None) -> Response: ...
    else:
        call = blocking(acall)

    def _send(self, payload: dict[str, Any] | str | None) -> Response:
        text = payload if isinstance(payload, str) else None
        request = Request(
            self.method,
            self.url.get_secret_value(),
            json=None if text is not None else payload,
            content=text,
            headers={name: str(value) for name, value in self.headers.get_secret_value().items()},
        )
        return send(request, verify=self.verify, allow_private_urls=self.allow_private_urls)
