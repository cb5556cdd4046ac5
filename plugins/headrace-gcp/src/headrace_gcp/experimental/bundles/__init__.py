"""The older place of `headrace_gcp.bundles`."""
