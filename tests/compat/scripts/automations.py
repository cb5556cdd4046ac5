"""Make, read, change and delete an automation."""

import json

from prefect.automations import Automation
from prefect.events.actions import CancelFlowRun
from prefect.events.schemas.automations import EventTrigger, Posture

made = Automation(
    name="stop-the-mill",
    trigger=EventTrigger(expect={"mill.flooded"}, match={"prefect.resource.id": "mill.*"}, posture=Posture.Reactive, threshold=1),
    actions=[CancelFlowRun()],
).create()
read = Automation.read(name="stop-the-mill")
read.disable()
again = Automation.read(id=made.id)
again.description = "when water comes"
again.update()
last = Automation.read(id=made.id)
print(json.dumps({"id": str(made.id), "enabled": last.enabled, "description": last.description, "expect": sorted(last.trigger.expect)}))
