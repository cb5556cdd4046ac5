"""A task that waits as boto3's waiters do."""

from __future__ import annotations

from typing import Any

from headrace_aws.credentials import AwsCredentials
from headrace_aws.errors import explaining
from headrace_aws.tasks import logger, twin_tasks


def _wait(
    client: str, waiter_name: str, aws_credentials: AwsCredentials, waiter_definition: dict[str, Any] | None = None, **waiter_kwargs: Any
) -> None:
    """Wait until something has happened at a service, by a waiter of boto3: `client_waiter("ec2", "instance_running", ..., InstanceIds=[...])`.

    `client` is the service's name. `waiter_definition` is a waiter model of your own, which has `waiter_name` among its waiters. `waiter_kwargs` go
    to `waiter.wait`; `WaiterConfig={"Delay": 15, "MaxAttempts": 40}` says how often it asks, and when it gives up.

    Raises ValueError for a waiter that does not exist, `AwsError` when it gives up, or what is waited for has failed.
    """
    made = aws_credentials.get_client(client)
    waiter = _custom(made, waiter_name, waiter_definition) if waiter_definition is not None else _known(made, client, waiter_name)
    logger().info("Waiting on %s of %s", waiter_name, client)
    with explaining(f"Waiting for {waiter_name!r} of {client!r}", aws_credentials):
        waiter.wait(**waiter_kwargs)
    logger().info("Done waiting on %s", waiter_name)


def _known(made: Any, client: str, waiter_name: str) -> Any:
    if waiter_name not in made.waiter_names:
        names = ", ".join(sorted(made.waiter_names)) or "none"
        raise ValueError(f"The service {client!r} has no waiter {waiter_name!r}. It has: {names}. Or give a waiter_definition of your own.")
    return made.get_waiter(waiter_name)


def _custom(made: Any, waiter_name: str, definition: dict[str, Any]) -> Any:
    from botocore.waiter import WaiterModel, create_waiter_with_client

    model = WaiterModel(definition)
    if waiter_name not in model.waiter_names:
        raise ValueError(f"The waiter_definition has no waiter {waiter_name!r}. It has: {', '.join(model.waiter_names) or 'none'}.")
    return create_waiter_with_client(waiter_name, model, made)


client_waiter, aclient_waiter = twin_tasks(_wait, "client_waiter")
