"""The older place of `headrace_gcp.decorators`."""

from headrace_gcp.decorators import cloud_run, vertex_ai

__all__ = ["cloud_run", "vertex_ai"]
