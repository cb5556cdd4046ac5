"""Notifications to chats: Slack, Microsoft Teams, Mattermost, Discord; and to any address that takes JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr

from headrace.objects.http import Request
from headrace.objects.notifications.base import TITLE_DEFAULT, AbstractAppriseNotificationBlock, heading

_SCHEMES = {"http": "http", "https": "https", "json": "http", "jsons": "https"}
_COLOURS = {"info": 0x3AA3E3, "success": 0x3AA337, "warning": 0xCACF29, "failure": 0xA32037}


class UrlNotificationBlock(AbstractAppriseNotificationBlock, ABC):
    """A notification that is JSON posted to a secret address."""

    _is_interface: ClassVar[bool] = True

    url: SecretStr = Field(title="Webhook URL", description="Incoming webhook URL used to send notifications.")
    allow_private_urls: bool = Field(default=True, description="Whether to allow notifications to private URLs. Defaults to True.")

    def allows_private_urls(self) -> bool:
        """Say whether the request may go to an address that is not public."""
        return self.allow_private_urls

    @abstractmethod
    def payload(self, body: str, subject: str | None) -> dict[str, Any]:
        """Return what is posted."""

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return the request that carries a notification."""
        return [Request("POST", self.url.get_secret_value(), json=self.payload(body, subject))]


class AppriseNotificationBlock(UrlNotificationBlock):
    """Posts notifications as JSON to any address: `{"version", "title", "message", "attachments", "type"}`.

    The address begins with `https://` or `http://`, or, as Apprise writes it, with `jsons://` or `json://`.

    Example:
        ```python
        from headrace.blocks.notifications import AppriseNotificationBlock

        AppriseNotificationBlock(url="https://example.com/hook").notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Apprise Notification"
    _block_type_slug: ClassVar[str | None] = "apprise-notification"

    def payload(self, body: str, subject: str | None) -> dict[str, Any]:
        """Return what Apprise posts to a `json://` address."""
        return {"version": "1.0", "title": subject or "", "message": body, "attachments": [], "type": self.severity}

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return the request. Raises ValueError for another scheme."""
        url = self.url.get_secret_value()
        scheme = urlsplit(url).scheme
        if scheme not in _SCHEMES:
            raise ValueError(
                f"Notifications are sent to http, https, json and jsons addresses; {scheme!r} is not one. Use the block of the service, "
                "as SlackWebhook or TwilioSMS."
            )
        return [Request("POST", _SCHEMES[scheme] + url[len(scheme) :], json=self.payload(body, subject))]


class SlackWebhook(UrlNotificationBlock):
    """Enables sending notifications via a provided Slack webhook.

    Supports both standard Slack webhooks (hooks.slack.com) and Slack GovCloud webhooks (hooks.slack-gov.com).

    Example:
        ```python
        from headrace.blocks.notifications import SlackWebhook

        slack_webhook_block = SlackWebhook.load("BLOCK_NAME")
        slack_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Slack Webhook"
    _block_type_slug: ClassVar[str | None] = "slack-webhook"

    def payload(self, body: str, subject: str | None) -> dict[str, Any]:
        """Return a message as incoming webhooks take it (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""
        return {"text": f"*{subject}*\n{body}" if subject else body}


class MicrosoftTeamsWebhook(UrlNotificationBlock):
    """Enables sending notifications via a provided Microsoft Teams webhook.

    Example:
        ```python
        from headrace.blocks.notifications import MicrosoftTeamsWebhook

        teams_webhook_block = MicrosoftTeamsWebhook.load("BLOCK_NAME")
        teams_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Microsoft Teams Webhook"
    _block_type_slug: ClassVar[str | None] = "ms-teams-webhook"

    include_image: bool = Field(default=True, description="Include an image with the notification.")
    wrap: bool = Field(default=True, description="Wrap the notification text.")

    def payload(self, body: str, subject: str | None) -> dict[str, Any]:
        """Return an adaptive card, as Teams workflows take it (https://learn.microsoft.com/power-automate/teams/send-a-message-in-teams)."""
        blocks = [{"type": "TextBlock", "text": body, "wrap": self.wrap}]
        if subject:
            blocks.insert(0, {"type": "TextBlock", "text": subject, "style": "heading", "weight": "Bolder", "wrap": self.wrap})
        card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": blocks}
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return {"type": "message", "summary": subject or TITLE_DEFAULT, "attachments": [attachment]}


class MattermostWebhook(AbstractAppriseNotificationBlock):
    """Enables sending notifications via a provided Mattermost webhook.

    `hostname` and `token` are the parts of the webhook's address: `https://<hostname>:<port>/<path>/hooks/<token>`.

    Example:
        ```python
        from headrace.blocks.notifications import MattermostWebhook

        mattermost_webhook_block = MattermostWebhook.load("BLOCK_NAME")
        mattermost_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Mattermost Webhook"
    _block_type_slug: ClassVar[str | None] = "mattermost-webhook"

    hostname: str = Field(description="The hostname of your Mattermost server.", examples=["Mattermost.example.com"])
    secure: bool = Field(default=False, description="Whether to use secure https connection.")
    token: SecretStr = Field(description="The token associated with your Mattermost webhook.")
    botname: str | None = Field(default=None, title="Bot name", description="The name of the bot that will send the message.")
    channels: list[str] | None = Field(default=None, description="The channel(s) you wish to notify; the webhook's own by default.")
    include_image: bool = Field(default=False, description="Whether to include the notification's image in the message.")
    path: str | None = Field(default=None, description="An optional sub-path specification to append to the hostname.")
    port: int = Field(default=8065, description="The port of your Mattermost server.")

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return a post for each channel, as incoming webhooks take it (https://developers.mattermost.com/integrate/webhooks/incoming)."""
        path = f"/{self.path.strip('/')}" if self.path else ""
        scheme = "https" if self.secure else "http"
        payload: dict[str, Any] = {"text": f"#### {subject}\n{body}" if subject else body}
        if self.botname:
            payload["username"] = self.botname
        posts = [{**payload, "channel": channel.lstrip("#")} for channel in self.channels or ()] or [payload]
        url = f"{scheme}://{self.hostname}:{self.port}{path}/hooks/{quote(self.token.get_secret_value())}"
        return [Request("POST", url, json=post) for post in posts]


class DiscordWebhook(AbstractAppriseNotificationBlock):
    """Enables sending notifications via a provided Discord webhook.

    `webhook_id` and `webhook_token` are the two parts of its address: `https://discord.com/api/webhooks/<id>/<token>`.

    Example:
        ```python
        from headrace.blocks.notifications import DiscordWebhook

        discord_webhook_block = DiscordWebhook.load("BLOCK_NAME")
        discord_webhook_block.notify("Hello from headrace!")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Discord Webhook"
    _block_type_slug: ClassVar[str | None] = "discord-webhook"
    _service_url: ClassVar[str] = "https://discord.com"

    webhook_id: SecretStr = Field(description="The first part of 2 tokens provided to you after creating a 'Incoming Webhook'.")
    webhook_token: SecretStr = Field(description="The second part of 2 tokens provided to you after creating a 'Incoming Webhook'.")
    botname: str | None = Field(default=None, title="Bot name", description="Identify the name of the bot that should issue the message.")
    tts: bool = Field(default=False, description="Whether to enable Text-To-Speech.")
    include_image: bool = Field(default=False, description="Whether to include an image in-line with the message.")
    avatar: bool = Field(default=False, description="Whether to override the default discord avatar icon.")
    avatar_url: str | None = Field(default=None, title="Avatar URL", description="Over-ride the default discord avatar icon URL.")

    def requests_for(self, body: str, subject: str | None) -> list[Request]:
        """Return a message as webhooks take it (https://discord.com/developers/docs/resources/webhook#execute-webhook)."""
        payload: dict[str, Any] = {"tts": self.tts}
        if subject:
            payload["embeds"] = [{"title": subject, "description": body, "color": _COLOURS[self.severity]}]
        else:
            payload["content"] = heading(body, subject)
        if self.botname:
            payload["username"] = self.botname
        if self.avatar and self.avatar_url:
            payload["avatar_url"] = self.avatar_url
        id, token = quote(self.webhook_id.get_secret_value()), quote(self.webhook_token.get_secret_value())
        return [Request("POST", f"{self._service_url}/api/webhooks/{id}/{token}", json=payload, params={"wait": "true"})]
