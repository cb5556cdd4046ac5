"""The older place of `headrace_azure.bundles`."""
