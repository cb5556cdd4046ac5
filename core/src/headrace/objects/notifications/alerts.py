"""Notifications to people on duty: PagerDuty, Opsgenie, Twilio (SMS), Sendgrid (mail)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr

from headrace.objects.http import Request
from headrace.objects.notifications.base import TITLE_DEFAULT, AbstractAppriseNotificationBlock, heading

_PAGERDUTY_SEVERITY = {"info": "info", "success": "info", "warning": "warning", "failure": "critical"}


class PagerDutyWebHook(AbstractAppriseNotificationBlock):
    """Enables sending notifications via a provided PagerDuty webhook.

    Each notification triggers an event of PagerDuty's Events API v2: the subject is its summary, the body one of its details.

    Example:
        ```python
        from headrace.blocks.notifications import PagerDutyWebHook

        pagerduty_webhook_block = PagerDutyWebHook.load("BLOCK_NAME")
        pagerduty_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Pager Duty Webhook"
    _block_type_slug: ClassVar[str | None] = "pager-duty-webhook"
    _service_urls: ClassVar[dict[str, str]] = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}

    integration_key: SecretStr = Field(description="This can be found on the Events API V2 integration's detail page, and is also the routing key.")
    api_key: SecretStr = Field(title="API Key", description="This can be found under Integrations. The Events API does not need it.")
    source: str | None = Field(default="Headrace", description="The source string as part of the payload.")
    component: str = Field(default="Notification", description="The component string as part of the payload.")
    group: str | None = Field(default=None, description="The group string as part of the payload.")
    class_id: str | None = Field(default=None, title="Class ID", description="The class string as part of the payload.")
    region_name: Literal["us", "eu"] = Field(default="us", description="The region name.")
    clickable_url: str | None = Field(default=None, title="Clickable URL", description="A clickable URL to associate with the notice.")
    include_image: bool = Field(default=True, description="Associate the notification status via a represented icon.")
    custom_details: dict[str, str] | None = Field(default=None, description="Additional details to include as part of the payload.")

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return an event (https://developer.pagerduty.com/docs/send-alert-event)."""
        details = {**(self.custom_details or {}), "Headrace Notification Body": body}
        payload: dict[str, Any] = {
            "summary": subject or body,
            "severity": _PAGERDUTY_SEVERITY[self.severity],
            "source": self.source or "Headrace",
            "component": self.component,
            "custom_details": details,
        }
        if self.group:
            payload["group"] = self.group
        if self.class_id:
            payload["class"] = self.class_id
        event: dict[str, Any] = {"routing_key": self.integration_key.get_secret_value(), "event_action": "trigger", "payload": payload}
        if self.clickable_url:
            event["links"] = [{"href": self.clickable_url}]
        return [Request("POST", f"{self._service_urls[self.region_name]}/v2/enqueue", json=event)]


class OpsgenieWebhook(AbstractAppriseNotificationBlock):
    """Enables sending notifications via a provided Opsgenie webhook.

    Each notification creates an alert: the subject (or the body's first line) is its message, the body its description.

    Example:
        ```python
        from headrace.blocks.notifications import OpsgenieWebhook

        opsgenie_webhook_block = OpsgenieWebhook.load("BLOCK_NAME")
        opsgenie_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Opsgenie Webhook"
    _block_type_slug: ClassVar[str | None] = "opsgenie-webhook"
    _service_urls: ClassVar[dict[str, str]] = {"us": "https://api.opsgenie.com", "eu": "https://api.eu.opsgenie.com"}

    apikey: SecretStr = Field(title="API Key", description="The API Key associated with your Opsgenie account.")
    target_user: list[str] | None = Field(default=None, description="The user(s) you wish to notify.")
    target_team: list[str] | None = Field(default=None, description="The team(s) you wish to notify.")
    target_schedule: list[str] | None = Field(default=None, description="The schedule(s) you wish to notify.")
    target_escalation: list[str] | None = Field(default=None, description="The escalation(s) you wish to notify.")
    region_name: Literal["us", "eu"] = Field(default="us", description="The 2-character region code.")
    batch: bool = Field(default=False, description="Notify all targets in batches (instead of individually).")
    tags: list[str] | None = Field(default=None, description="A list of tags you can associate with your Opsgenie message.")
    priority: int = Field(default=3, ge=1, le=5, description="The priority to associate with the message: 1 (critical) to 5 (informational).")
    alias: str | None = Field(default=None, description="The alias to associate with the message.")
    entity: str | None = Field(default=None, description="The entity to associate with the message.")
    details: dict[str, str] | None = Field(default=None, description="Additional details composed of key/values pairs.")

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return an alert for each target, or one for all with `batch` (https://docs.opsgenie.com/docs/alert-api#create-alert)."""
        alert: dict[str, Any] = {
            "message": (subject or body.partition("\n")[0])[:130],  # the service takes no more
            "description": body,
            "priority": f"P{self.priority}",
            "source": "Headrace",
        }
        optional = {"tags": self.tags, "alias": self.alias, "entity": self.entity, "details": self.details}
        alert.update({name: value for name, value in optional.items() if value})
        targets = [
            *({"type": "user", "username": name} for name in self.target_user or ()),
            *({"type": "team", "name": name} for name in self.target_team or ()),
            *({"type": "schedule", "name": name} for name in self.target_schedule or ()),
            *({"type": "escalation", "name": name} for name in self.target_escalation or ()),
        ]
        groups = [targets] if self.batch or not targets else [[target] for target in targets]
        headers = {"Authorization": f"GenieKey {self.apikey.get_secret_value()}"}
        url = f"{self._service_urls[self.region_name]}/v2/alerts"
        return [Request("POST", url, json={**alert, "responders": group} if group else alert, headers=headers) for group in groups]


class TwilioSMS(AbstractAppriseNotificationBlock):
    """Enables sending notifications via Twilio SMS. Find more on sending Twilio SMS messages in the docs (https://www.twilio.com/docs/sms).

    Example:
        ```python
        from headrace.blocks.notifications import TwilioSMS

        twilio_webhook_block = TwilioSMS.load("BLOCK_NAME")
        twilio_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Twilio SMS"
    _block_type_slug: ClassVar[str | None] = "twilio-sms"
    _service_url: ClassVar[str] = "https://api.twilio.com"

    account_sid: str = Field(description="The Twilio Account SID - it can be found on the homepage of the Twilio console.")
    auth_token: SecretStr = Field(description="The Twilio Authentication Token - it can be found on the homepage of the Twilio console.")
    from_phone_number: str = Field(description="The valid Twilio phone number to send the message from.", examples=["18001234567"])
    to_phone_numbers: list[str] = Field(description="A list of valid Twilio phone number(s) to send the message to.", min_length=1)

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return a message for each number (https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource)."""
        url = f"{self._service_url}/2010-04-01/Accounts/{quote(self.account_sid)}/Messages.json"
        auth = (self.account_sid, self.auth_token.get_secret_value())
        text = heading(body, subject)
        sender = _phone(self.from_phone_number)
        return [Request("POST", url, form={"From": sender, "To": _phone(number), "Body": text}, basic_auth=auth) for number in self.to_phone_numbers]


class SendgridEmail(AbstractAppriseNotificationBlock):
    """Enables sending notifications via any sendgrid account.

    Example:
        ```python
        from headrace.blocks.notifications import SendgridEmail

        sendgrid_block = SendgridEmail.load("BLOCK_NAME")
        sendgrid_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Sendgrid Email"
    _block_type_slug: ClassVar[str | None] = "sendgrid-email"
    _service_url: ClassVar[str] = "https://api.sendgrid.com"

    api_key: SecretStr = Field(title="API Key", description="The API Key associated with your sendgrid account.")
    sender_email: str = Field(title="Sender email id", description="The sender email id.", examples=["test-support@gmail.com"])
    to_emails: list[str] = Field(title="Recipient emails", description="Email ids of all recipients.", min_length=1)

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return a mail that no recipient sees another in (https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send)."""
        mail = {
            "personalizations": [{"to": [{"email": address}]} for address in self.to_emails],
            "from": {"email": self.sender_email},
            "subject": subject or TITLE_DEFAULT,
            "content": [{"type": "text/plain", "value": body}],
        }
        headers = {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}
        return [Request("POST", f"{self._service_url}/v3/mail/send", json=mail, headers=headers)]


def _phone(number: str) -> str:
    """Return a number as the E.164 form wants it: a plus sign and digits."""
    return "+" + "".join(letter for letter in number if letter.isdigit())
