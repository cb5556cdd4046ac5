"""Notification blocks: each is a plain HTTP request to the service."""

from headrace.objects.notifications.alerts import OpsgenieWebhook, PagerDutyWebHook, SendgridEmail, TwilioSMS
from headrace.objects.notifications.base import AbstractAppriseNotificationBlock, HttpNotificationBlock
from headrace.objects.notifications.chat import (
    AppriseNotificationBlock,
    DiscordWebhook,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    SlackWebhook,
)
from headrace.objects.notifications.custom import CustomWebhookNotificationBlock

__all__ = [
    "AbstractAppriseNotificationBlock",
    "AppriseNotificationBlock",
    "CustomWebhookNotificationBlock",
    "DiscordWebhook",
    "HttpNotificationBlock",
    "MattermostWebhook",
    "MicrosoftTeamsWebhook",
    "OpsgenieWebhook",
    "PagerDutyWebHook",
    "SendgridEmail",
    "SlackWebhook",
    "TwilioSMS",
]
