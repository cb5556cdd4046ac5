"""Front desk: runs of deployments, made from code."""

from headrace.deploy.run_deployment import arun_deployment, run_deployment

__all__ = ["arun_deployment", "run_deployment"]
