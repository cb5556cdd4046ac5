"""The older place of `headrace_azure.decorators`."""

from headrace_azure.decorators import azure_container_instance

__all__ = ["azure_container_instance"]
