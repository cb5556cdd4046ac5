"""The shapes of automations and their triggers."""

from headrace.model.automations import (
    Automation,
    AutomationCore,
    CompositeTrigger,
    CompoundTrigger,
    EventTrigger,
    Posture,
    ResourceTrigger,
    SequenceTrigger,
    Trigger,
    TriggerTypes,
    trigger_discriminator,
)

__all__ = [
    "Automation",
    "AutomationCore",
    "CompositeTrigger",
    "CompoundTrigger",
    "EventTrigger",
    "Posture",
    "ResourceTrigger",
    "SequenceTrigger",
    "Trigger",
    "TriggerTypes",
    "trigger_discriminator",
]
