"""Running the steps of deployments."""

from headrace.deploy.steps.run import run_step, run_steps
from headrace.model.errors import StepExecutionError

__all__ = ["StepExecutionError", "run_step", "run_steps"]
