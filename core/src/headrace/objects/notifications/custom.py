"""A notification to any address, in any form."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import Field, model_validator

from headrace.objects.fields import SecretDict
from headrace.objects.http import Request
from headrace.objects.notifications.base import TITLE_DEFAULT, HttpNotificationBlock

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")


class CustomWebhookNotificationBlock(HttpNotificationBlock):
    """Enables sending notifications via any custom webhook.

    All nested string param contains `{{key}}` will be substituted with value from context/secrets. Context values include: `subject`,
    `body` and `name`.

    Example:
        ```python
        from headrace.blocks.notifications import CustomWebhookNotificationBlock

        custom_webhook_block = CustomWebhookNotificationBlock.load("BLOCK_NAME")
        custom_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Custom Webhook"
    _block_type_slug: ClassVar[str | None] = "custom-webhook"

    name: str = Field(title="Name", description="Name of the webhook.")
    url: str = Field(title="Webhook URL", description="The webhook URL.", examples=["https://hooks.slack.com/XXX"])
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(default="POST", description="The webhook request method. Defaults to `POST`.")
    params: dict[str, str] | None = Field(default=None, title="Query Params", description="Custom query params.")
    json_data: dict[str, Any] | None = Field(
        default=None,
        title="JSON Data",
        description="Send json data as payload.",
        examples=['{"text": "{{subject}}\\n{{body}}", "title": "{{name}}", "token": "{{tokenFromSecrets}}"}'],
    )
    form_data: dict[str, str] | None = Field(
        default=None,
        title="Form Data",
        description="Send form data as payload. Should not be used together with _JSON Data_.",
        examples=['{"text": "{{subject}}\\n{{body}}", "title": "{{name}}", "token": "{{tokenFromSecrets}}"}'],
    )
    headers: dict[str, str] | None = Field(default=None, description="Custom headers.")
    cookies: dict[str, str] | None = Field(default=None, description="Custom cookies.")
    timeout: float = Field(default=10, gt=0, description="Request timeout in seconds. Defaults to 10.")
    secrets: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        title="Custom Secret Values",
        description="A dictionary of secret values to be substituted in other configs.",
        examples=['{"tokenFromSecrets":"SomeSecretToken"}'],
    )

    @model_validator(mode="after")
    def check_one_payload(self) -> Self:
        """Refuse two payloads."""
        if self.json_data is not None and self.form_data is not None:
            raise ValueError("both `Form Data` and `JSON Data` provided; a request carries one of them.")
        return self

    def timeout_seconds(self) -> float:
        """Return how long an answer is waited for."""
        return self.timeout

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return the request with every placeholder filled in. Raises KeyError for one that nothing is known for."""
        values = {
            **self.secrets.get_secret_value(),
            "subject": subject or TITLE_DEFAULT,
            "body": body,
            "name": self.name,
        }
        return [
            Request(
                self.method,
                self._filled(self.url, values),
                params=self._filled(self.params, values),
                json=self._filled(self.json_data, values),
                form=self._filled(self.form_data, values),
                headers=self._filled(self.headers, values) or {},
                cookies=self._filled(self.cookies, values),
            )
        ]

    def _filled(self, template: Any, values: dict[str, Any]) -> Any:
        if isinstance(template, str):
            return _PLACEHOLDER.sub(lambda found: str(self._value(found.group(1), values)), template)
        if isinstance(template, dict):
            items = cast("dict[Any, Any]", template).items()
            return {self._filled(key, values): self._filled(value, values) for key, value in items}
        if isinstance(template, list):
            return [self._filled(item, values) for item in cast("list[Any]", template)]
        return template

    def _value(self, name: str, values: dict[str, Any]) -> Any:
        if name not in values:
            known = ", ".join(sorted(values))
            raise KeyError(f"The webhook {self.name!r} uses {{{{{name}}}}}, but there are only {known}. Add it to `secrets`.")
        return values[name]
