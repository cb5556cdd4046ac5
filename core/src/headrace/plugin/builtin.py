"""What headrace itself offers, through the same hooks as any plugin. Whoever adds a built-in adds its line here."""

from __future__ import annotations

from headrace.plugin.marker import hookimpl
from headrace.plugin.offers import Offer


@hookimpl
def headrace_filesystems() -> list[Offer]:
    """Where results and code can be kept; these are block types too."""
    return [
        Offer("local-file-system", "headrace.filesystems:LocalFileSystem", "Files in a directory of this machine"),
        Offer("remote-file-system", "headrace.filesystems:RemoteFileSystem", "Files on any file system that fsspec knows"),
        Offer("smb", "headrace.filesystems:SMB", "Files on a SMB share"),
        Offer("redis-storage-container", "headrace.blocks.redis:RedisStorageContainer", "Files as keys of Redis"),
    ]


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Block types that need no other distribution."""
    return [
        Offer("secret", "headrace.blocks.system:Secret", "A value that must not be seen"),
        Offer("webhook", "headrace.blocks.webhook:Webhook", "A webhook to call"),
        *headrace_filesystems(),
        *(
            Offer(slug, f"headrace.blocks.notifications:{target}", summary)
            for slug, target, summary in (
                ("apprise-notification", "AppriseNotificationBlock", "Notifications as JSON to any address"),
                ("custom-webhook", "CustomWebhookNotificationBlock", "Notifications in any form to any address"),
                ("discord-webhook", "DiscordWebhook", "Notifications to Discord"),
                ("mattermost-webhook", "MattermostWebhook", "Notifications to Mattermost"),
                ("ms-teams-webhook", "MicrosoftTeamsWebhook", "Notifications to Microsoft Teams"),
                ("opsgenie-webhook", "OpsgenieWebhook", "Alerts of Opsgenie"),
                ("pager-duty-webhook", "PagerDutyWebHook", "Alerts of PagerDuty"),
                ("sendgrid-email", "SendgridEmail", "Mail by Sendgrid"),
                ("slack-webhook", "SlackWebhook", "Notifications to Slack"),
                ("twilio-sms", "TwilioSMS", "Text messages by Twilio"),
            )
        ),
    ]


@hookimpl
def headrace_serializers() -> list[Offer]:
    """Serializers of results that need no other distribution."""
    return [
        Offer("pickle", "headrace.serializers:PickleSerializer", "Any picklable value, with cloudpickle"),
        Offer("json", "headrace.serializers:JSONSerializer", "Values as JSON text, dates, models and dataclasses too"),
        Offer("compressed", "headrace.serializers:CompressedSerializer", "What another serializer makes, compressed"),
        Offer("compressed/pickle", "headrace.serializers:CompressedPickleSerializer", "Pickles, compressed"),
        Offer("compressed/json", "headrace.serializers:CompressedJSONSerializer", "JSON text, compressed"),
    ]


@hookimpl
def headrace_task_runners() -> list[Offer]:
    """Where submitted tasks can run without another distribution."""
    return [
        Offer("thread-pool", "headrace.task_runners:ThreadPoolTaskRunner", "Tasks in threads of the flow's process"),
        Offer("process-pool", "headrace.task_runners:ProcessPoolTaskRunner", "Tasks in processes on this machine"),
    ]


@hookimpl
def headrace_deployment_steps() -> list[Offer]:
    """Steps of project files that need no other distribution."""
    return [
        Offer(f"headrace.deployments.steps.{name}", f"headrace.deployments.steps:{name}", summary, aliases=(f"{module}.{name}", name))
        for module, name, summary in (
            ("headrace.deployments.steps.pull", "git_clone", "Clone a git repository"),
            ("headrace.deployments.steps.pull", "set_working_directory", "Change the working directory"),
            ("headrace.deployments.steps.pull", "pull_from_remote_storage", "Copy a folder from any storage that fsspec knows"),
            ("headrace.deployments.steps.pull", "pull_with_block", "Have a stored block bring the code"),
            ("headrace.deployments.steps.utility", "run_shell_script", "Run commands and keep what they write"),
            ("headrace.deployments.steps.utility", "pip_install_requirements", "Install what a requirements file lists"),
        )
    ]


@hookimpl
def headrace_workers() -> list[Offer]:
    """Infrastructure that runs can be started on without another distribution."""
    return [Offer("process", "headrace.workers.process:ProcessWorker", "Processes of the worker's machine")]
