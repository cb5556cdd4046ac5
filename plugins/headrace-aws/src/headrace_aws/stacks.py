"""CloudFormation stacks of ECS workers: their templates, making, following and deleting them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any, Literal

from headrace_aws.credentials import AwsCredentials, ClientType
from headrace_aws.errors import AwsError, explaining

TemplateType = Literal["service", "events-only"]

MANAGED_BY = "headrace-aws"
TAG = "ManagedBy"
POLL_SECONDS = 2.0
WAIT_SECONDS_MAX = 1800.0
_PARTS = ("Parameters", "Conditions", "Resources", "Outputs")
_NOTHING_TO_DO = "No updates are to be performed"


def template(kind: TemplateType) -> dict[str, Any]:
    """Return a template: the queue of task events, and for `service` a worker besides."""
    whole = _read("events-only.yaml")
    if kind == "service":
        more = _read("service.yaml")
        for part in _PARTS:
            whole[part] = {**whole.get(part, {}), **more.get(part, {})}
        whole["Description"] = more["Description"]
    return whole


def _read(name: str) -> dict[str, Any]:
    import yaml

    found = yaml.safe_load(files("headrace_aws.templates.ecs").joinpath(name).read_text(encoding="utf-8"))
    return json.loads(json.dumps(found))  # without YAML's aliases, which CloudFormation does not take


def tags_of(work_pool_name: str, kind: TemplateType) -> list[dict[str, str]]:
    """Return the tags by which a stack is known to be made here."""
    values = {TAG: MANAGED_BY, "HeadraceStackType": kind, "HeadraceWorkPool": work_pool_name}
    return [{"Key": key, "Value": value} for key, value in values.items()]


def tags_in(stack: dict[str, Any]) -> dict[str, str]:
    """Return a stack's tags."""
    return {one["Key"]: one["Value"] for one in stack.get("Tags", [])}


class Stacks:
    """The stacks of one account and region. Everything raises `AwsError` that says what to do."""

    def __init__(self, credentials: AwsCredentials, say: Callable[[str], None]) -> None:
        self._credentials = credentials
        self._say = say

    @property
    def _cloudformation(self) -> Any:
        return self._credentials.get_client("cloudformation")

    def check_credentials(self) -> str:
        """Return the account that the credentials are of."""
        with explaining("The AWS credentials cannot be used", self._credentials):
            return self._credentials.get_client("sts").get_caller_identity()["Account"]

    def cluster(self, identifier: str) -> dict[str, Any]:
        """Return a cluster by its name or ARN."""
        with explaining(f"The ECS cluster {identifier!r} cannot be looked at", self._credentials):
            found = self._credentials.get_client(ClientType.ECS).describe_clusters(clusters=[identifier])["clusters"]
        if not found or found[0].get("status") != "ACTIVE":
            raise AwsError(
                f"There is no active ECS cluster {identifier!r}. Make it with `aws ecs create-cluster`, or correct the name or the region."
            )
        return found[0]

    def check_network(self, vpc_id: str, subnet_ids: list[str]) -> None:
        """Raise unless there is such a VPC and all subnets are of it."""
        ec2 = self._credentials.get_client("ec2")
        with explaining(f"The VPC {vpc_id!r} cannot be used", self._credentials):
            ec2.describe_vpcs(VpcIds=[vpc_id])
            found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
        foreign = [one for one in subnet_ids if one not in {subnet["SubnetId"] for subnet in found}]
        if foreign:
            raise AwsError(f"These subnets are not of the VPC {vpc_id!r}: {', '.join(foreign)}. Correct them, or the VPC.")

    def list(self) -> Iterator[dict[str, Any]]:
        """Yield the stacks that were made here."""
        with explaining("The stacks cannot be listed", self._credentials):
            for page in self._cloudformation.get_paginator("describe_stacks").paginate():
                for one in page["Stacks"]:
                    if tags_in(one).get(TAG) == MANAGED_BY and one["StackStatus"] != "DELETE_COMPLETE":
                        yield one

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a stack, whoever made it; None when there is none."""
        with explaining(f"The stack {name!r} cannot be looked at", self._credentials):
            try:
                found = self._cloudformation.describe_stacks(StackName=name)["Stacks"]
            except Exception as error:
                if "does not exist" in str(error):
                    return None
                raise
        return found[0] if found else None

    def own(self, name: str) -> dict[str, Any]:
        """Return a stack that was made here."""
        found = self.find(name)
        if found is None:
            raise AwsError(f"There is no stack {name!r}. `headrace-aws ecs-worker list` names those there are.")
        if tags_in(found).get(TAG) != MANAGED_BY:
            raise AwsError(f"The stack {name!r} was not made by headrace-aws, so it is left alone.")
        return found

    def deploy(self, name: str, kind: TemplateType, parameters: dict[str, str], work_pool_name: str, wait: bool) -> dict[str, Any]:
        """Make or change a stack, and follow it to its end unless `wait` is false; return it."""
        before = self.find(name)
        if before is not None:
            self.own(name)
        asked = {
            "StackName": name,
            "TemplateBody": json.dumps(template(kind)),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            "Tags": tags_of(work_pool_name, kind),
            "Capabilities": ["CAPABILITY_IAM"],
        }
        began = self._seen(name) if before is not None else set[str]()
        with explaining(f"The stack {name!r} cannot be deployed", self._credentials, parameters.get("ApiKey"), parameters.get("ApiAuthString")):
            try:
                (self._cloudformation.create_stack if before is None else self._cloudformation.update_stack)(**asked)
            except Exception as error:
                if _NOTHING_TO_DO not in str(error):
                    raise
                self._say(f"The stack {name!r} is as it should be.")
        if wait:
            self._follow(name, began)
        found = self.find(name)
        assert found is not None
        return found

    def delete(self, name: str, wait: bool) -> None:
        """Delete a stack that was made here, and follow that to its end unless `wait` is false."""
        stack = self.own(name)
        began = self._seen(stack["StackId"])
        with explaining(f"The stack {name!r} cannot be deleted", self._credentials):
            self._cloudformation.delete_stack(StackName=name)
        if wait:
            self._follow(stack["StackId"], began)

    def _events(self, name: str) -> list[dict[str, Any]]:
        with explaining(f"The stack {name!r} cannot be followed", self._credentials):
            return self._cloudformation.describe_stack_events(StackName=name)["StackEvents"][::-1]  # the newest is the first

    def _seen(self, name: str) -> set[str]:
        return {one["EventId"] for one in self._events(name)}

    def _follow(self, name: str, seen: set[str]) -> None:
        """Tell of a stack's events until it is at rest. Raises `AwsError` with the reasons when it did not come about."""
        reasons: list[str] = []
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            for event in self._events(name):
                if event["EventId"] in seen:
                    continue
                seen.add(event["EventId"])
                status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
                self._say(f"  {status:28} {event.get('LogicalResourceId', '')} {reason}".rstrip())
                if status.endswith("_FAILED") and "cancelled" not in reason.lower():
                    reasons.append(f"{event.get('LogicalResourceId')}: {reason}")
            stack = self.find(name)
            status = stack["StackStatus"] if stack is not None else "DELETE_COMPLETE"
            if not status.endswith("_IN_PROGRESS"):
                break
            if time.monotonic() > deadline:
                raise AwsError(
                    f"The stack {name!r} is still {status} after {WAIT_SECONDS_MAX:.0f} seconds. Look at it in the CloudFormation console."
                )
            threading.Event().wait(POLL_SECONDS)
        if "ROLLBACK" in status or status.endswith("_FAILED"):
            raise AwsError(f"The stack {name!r} ended as {status}. " + ("; ".join(reasons) or "Look at its events in the CloudFormation console."))
