"""The triggers that a deployment states."""

from headrace.model.deployment_triggers import (
    BaseDeploymentTrigger,
    DeploymentCompoundTrigger,
    DeploymentEventTrigger,
    DeploymentSequenceTrigger,
    DeploymentTriggerTypes,
    deployment_trigger_discriminator,
)

__all__ = [
    "BaseDeploymentTrigger",
    "DeploymentCompoundTrigger",
    "DeploymentEventTrigger",
    "DeploymentSequenceTrigger",
    "DeploymentTriggerTypes",
    "deployment_trigger_discriminator",
]
