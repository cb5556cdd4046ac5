"""What all workers of this plugin share: the default image, and the warning of secrets that everybody can read."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from headrace.blocks.credentials import is_secret_name

if TYPE_CHECKING:
    from headrace.workers.remote import RemoteJobConfiguration


def default_image() -> str:
    """Return the name of headrace's own image of this version. It has to be in a registry from which Google Cloud can pull."""
    return f"headrace:{version('headrace')}"


def warn_of_plain_secrets(logger: Any, configuration: RemoteJobConfiguration, advice: str) -> None:
    """Warn when a key of the server would stand in a job in the clear."""
    shown = [name for name in configuration.environment.secure if name.startswith("HEADRACE_") and is_secret_name(name)]
    if shown:
        logger.warning("%s can be read by everybody who may see the job. %s", " and ".join(shown), advice)
