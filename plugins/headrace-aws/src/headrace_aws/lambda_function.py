"""Lambda: `LambdaFunction` invokes a function that is deployed."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, ClassVar, Literal

from pydantic import Field

from headrace.blocks.core import Block
from headrace.utilities.asyncutils import twins
from headrace_aws.credentials import AwsCredentials
from headrace_aws.errors import explaining
from headrace_aws.requests import ONCE, once
from headrace_aws.tasks import logger

CLIENT_CONTEXT_BYTES_MAX = 3583
ANSWER_SECONDS_MAX = 910
"""How long an answer is waited for, unless the credentials' `config` has a `read_timeout`: a function may run for 15 minutes."""


class LambdaFunction(Block):
    """Invoke a Lambda function.

    An invocation is repeated only when AWS certainly did not begin it; so no function runs twice for one call.

    Example:
        ```python
        from headrace_aws import AwsCredentials, LambdaFunction

        function = LambdaFunction(function_name="resize", aws_credentials=AwsCredentials.load("my-account"))
        response = function.invoke(payload={"width": 200})
        answer = response["Payload"].read()
        ```
    """

    _block_type_name: ClassVar[str | None] = "Lambda Function"
    _block_type_slug: ClassVar[str | None] = "lambda-function"

    function_name: str = Field(
        description="The name, the ARN, or a part of the ARN of the function. It must be deployed already.", title="Function Name"
    )
    qualifier: str | None = Field(default=None, description="The version or alias of the function; the newest if none is given.")
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials, description="The credentials to invoke the function with.", title="AWS Credentials"
    )

    def invoke(
        self,
        payload: dict[str, Any] | None = None,
        invocation_type: Literal["RequestResponse", "Event", "DryRun"] = "RequestResponse",
        tail: bool = False,
        client_context: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Invoke the function and return boto3's response; `response["Payload"].read()` is what the function answered.

        `invocation_type`: wait for the answer, only start it ("Event"), or only see whether it may be invoked ("DryRun"). `tail`: have the end of the
        function's log (4 KB, base64) in the response as `LogResult`. `client_context` is for the function to see, 3583 bytes at most.

        Raises `AwsError` when it cannot be invoked, ValueError for a context that is too large. When the function itself raises, the response has
        `FunctionError` and a warning is logged.
        """
        asked: dict[str, Any] = {"FunctionName": self.function_name, "InvocationType": invocation_type}
        if payload:
            asked["Payload"] = json.dumps(payload).encode()
        if self.qualifier is not None:
            asked["Qualifier"] = self.qualifier
        if tail:
            asked["LogType"] = "Tail"
        if client_context is not None:
            asked["ClientContext"] = _packed(client_context)
        client = self.aws_credentials.get_client("lambda", read_timeout=ANSWER_SECONDS_MAX, tcp_keepalive=True, **ONCE)
        with explaining(f"The function {self.function_name!r} cannot be invoked", self.aws_credentials):
            response = once(lambda: client.invoke(**asked))
        if response.get("FunctionError"):
            logger().warning(
                "The Lambda function %r raised an error (%s); the response's Payload tells which.", self.function_name, response["FunctionError"]
            )
        return response

    invoke, ainvoke = twins(invoke)


def _packed(context: dict[str, Any]) -> str:
    packed = b64encode(json.dumps(context).encode()).decode()
    if len(packed) > CLIENT_CONTEXT_BYTES_MAX:
        raise ValueError(
            f"The client context takes {len(packed)} bytes as base64, and Lambda takes {CLIENT_CONTEXT_BYTES_MAX}. Put it into the payload."
        )
    return packed
