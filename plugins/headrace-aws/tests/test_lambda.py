"""Lambda functions: ministack runs them; botocore's Stubber makes the failures that it cannot."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import zipfile
from base64 import b64decode
from typing import Any
from uuid import uuid4

import pytest
from botocore.stub import Stubber

from headrace import flow
from headrace_aws import LambdaFunction
from headrace_aws import requests as repeating
from headrace_aws.client_parameters import AwsClientParameters
from headrace_aws.errors import AwsError
from headrace_aws.lambda_function import ANSWER_SECONDS_MAX
from headrace_aws.requests import ONCE

from .conftest import credentials_for

CODE = """
def handler(event, context):
    if event.get("wrong"):
        raise ValueError("wrong on purpose")
    return {"got": event}
"""


@pytest.fixture(scope="module")
def name(ministack: str) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", CODE)
    found = f"f-{uuid4().hex[:8]}"
    client = credentials_for(ministack).get_client("lambda", read_timeout=ANSWER_SECONDS_MAX, tcp_keepalive=True, **ONCE)
    client.create_function(
        FunctionName=found, Runtime="python3.11", Role="arn:aws:iam::000000000000:role/r", Handler="code.handler", Code={"ZipFile": packed.getvalue()}
    )
    return found


@pytest.fixture
def function(ministack: str, name: str) -> LambdaFunction:
    return LambdaFunction(function_name=name, aws_credentials=credentials_for(ministack))


def stubbed(**arguments: Any) -> tuple[LambdaFunction, Stubber]:
    """Return a function whose client answers what it is told to."""
    credentials = credentials_for("http://127.0.0.1:9", aws_access_key_id=uuid4().hex)
    client = credentials.get_client("lambda", read_timeout=ANSWER_SECONDS_MAX, tcp_keepalive=True, **ONCE)
    stubber = Stubber(client)
    stubber.activate()
    return LambdaFunction(function_name="f", aws_credentials=credentials, **arguments), stubber


def test_a_function_answers(function: LambdaFunction) -> None:
    @flow
    def work() -> Any:
        return json.loads(function.invoke(payload={"foo": "bar"})["Payload"].read())

    assert work() == {"got": {"foo": "bar"}}


def test_async_flows_await_the_answer(function: LambdaFunction) -> None:
    @flow
    async def work() -> Any:
        return json.loads((await function.ainvoke(payload={"n": 1}))["Payload"].read())

    assert asyncio.run(work()) == {"got": {"n": 1}}


def test_a_function_that_raises_is_told_of(function: LambdaFunction, caplog: pytest.LogCaptureFixture) -> None:
    response = function.invoke(payload={"wrong": True})
    assert response["FunctionError"]
    assert "wrong on purpose" in response["Payload"].read().decode()
    assert "raised an error" in caplog.text


def test_a_function_is_started_without_waiting(function: LambdaFunction) -> None:
    assert function.invoke(payload={}, invocation_type="Event")["StatusCode"] == 202


def test_a_missing_function_is_named(ministack: str) -> None:
    with pytest.raises(AwsError, match="'no-such-function' cannot be invoked.*Check its name and the region"):
        LambdaFunction(function_name="no-such-function", aws_credentials=credentials_for(ministack)).invoke()


def test_what_is_asked_for_reaches_lambda() -> None:
    function, stubber = stubbed(qualifier="7")
    context = {"custom": {"a": "b"}}
    sent: dict[str, Any] = {}
    function.aws_credentials.get_client("lambda", read_timeout=ANSWER_SECONDS_MAX, tcp_keepalive=True, **ONCE).meta.events.register(
        "provide-client-params.lambda.Invoke", lambda params, **_: sent.update(params)
    )
    stubber.add_response("invoke", {"StatusCode": 200, "LogResult": "bG9n"})
    assert function.invoke(tail=True, client_context=context)["LogResult"] == "bG9n"
    assert json.loads(b64decode(sent.pop("ClientContext"))) == context
    assert sent == {"FunctionName": "f", "InvocationType": "RequestResponse", "Qualifier": "7", "LogType": "Tail"}


def test_a_context_that_is_too_large_is_refused() -> None:
    function, _ = stubbed()
    with pytest.raises(ValueError, match="3583"):
        function.invoke(client_context={"a": "x" * 4000})


def test_an_invocation_whose_answer_was_lost_is_not_repeated() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        parameters = AwsClientParameters(endpoint_url=endpoint, config={"read_timeout": 0.3})
        function = LambdaFunction(function_name="f", aws_credentials=credentials_for(endpoint, aws_client_parameters=parameters))
        with pytest.raises(AwsError, match="may have done it"):
            function.invoke()
        silent.settimeout(0.2)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_an_invocation_that_was_refused_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "FIRST_PAUSE_SECONDS", 0.0)
    function, stubber = stubbed()
    stubber.add_client_error("invoke", "TooManyRequestsException", "Rate exceeded", http_status_code=429)
    stubber.add_response("invoke", {"StatusCode": 200})
    assert function.invoke()["StatusCode"] == 200
