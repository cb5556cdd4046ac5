"""Inputs that are sent to flow runs and received by them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import Any
from uuid import UUID, uuid4

import pydantic
import pytest

from headrace.client import current_run
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.input import (
    RunInput,
    create_flow_run_input,
    delete_flow_run_input,
    filter_flow_run_input,
    keyset_from_base_key,
    keyset_from_paused_state,
    read_flow_run_input,
    receive_input,
    send_input,
)
from headrace.model.endpoints.flow_runs import CREATE_FLOW_RUN, DELETE_FLOW_RUN
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.errors import ObjectAlreadyExists, ObjectNotFound
from headrace.model.flow_runs import FlowRunCreate
from headrace.model.flows import FlowCreate
from headrace.model.states import Paused, Running

pytestmark = pytest.mark.usefixtures("client")


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


def new_run() -> UUID:
    flow = call(CREATE_FLOW, FlowCreate(name="f"))
    return call(CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id)).id


class inside:
    """Be in a flow run while the block runs."""

    def __init__(self, run: UUID) -> None:
        self.run = run

    def __enter__(self) -> None:
        self.token = current_run.set_run_ids(self.run, None)

    def __exit__(self, *_: object) -> None:
        current_run.reset(self.token)


class Person(RunInput):
    name: str
    age: int = 0


class Plain(pydantic.BaseModel):
    name: str


def test_what_was_sent_before_listening_comes_once_each_in_order() -> None:
    run = new_run()
    for number in range(5):
        send_input(number, run)
    assert list(receive_input(int, flow_run_id=run, timeout=0)) == [0, 1, 2, 3, 4]


def test_types_do_not_mix_and_wait_for_who_asks_for_them() -> None:
    run = new_run()
    for value in ("a", 1, Person(name="p"), Plain(name="q"), [1, 2]):
        send_input(value, run)
    assert list(receive_input(str, flow_run_id=run, timeout=0)) == ["a"]
    assert [person.name for person in Person.receive(flow_run_id=run, timeout=0)] == ["p"]
    [plain] = receive_input(Plain, flow_run_id=run, timeout=0)
    assert isinstance(plain, Plain)
    assert isinstance(plain, RunInput)
    assert list(receive_input(list[int], flow_run_id=run, timeout=0)) == [[1, 2]]


def test_a_receiver_wakes_when_something_is_sent() -> None:
    run = new_run()
    sender = threading.Timer(0.05, send_input, ("late", run))
    sender.start()
    assert receive_input(str, flow_run_id=run, timeout=30).next() == "late"
    sender.join()


def test_the_end_of_the_time_ends_the_iteration_or_raises() -> None:
    run = new_run()
    assert list(receive_input(str, flow_run_id=run, timeout=0.01)) == []
    with pytest.raises(TimeoutError, match="came to flow run"):
        list(receive_input(str, flow_run_id=run, timeout=0.01, raise_timeout_error=True))
    with pytest.raises(TimeoutError):
        receive_input(str, flow_run_id=run, timeout=0.01).next()


def test_an_answer_reaches_the_sender() -> None:
    sender, receiver = new_run(), new_run()
    with inside(sender):
        send_input("ping", receiver)
    with inside(receiver):
        received = receive_input(str, with_metadata=True, timeout=0).next()
        assert received.metadata.sender == f"prefect.flow-run.{sender}"
        assert received.metadata.receiver == receiver
        received.respond(received.value + " pong")
    with inside(sender):
        assert receive_input(str, timeout=0).next() == "ping pong"


def test_nobody_can_be_answered_who_is_no_flow_run() -> None:
    run = new_run()
    send_input("ping", run)
    received = receive_input(str, with_metadata=True, timeout=0, flow_run_id=run).next()
    with pytest.raises(RuntimeError, match="no flow run sent"):
        received.respond("pong")
    with pytest.raises(RuntimeError, match="no metadata"):
        Person(name="a").respond("pong")


def test_seen_keys_can_be_excluded() -> None:
    run = new_run()
    send_input(1, run)
    send_input(2, run)
    first = receive_input(int, with_metadata=True, timeout=0, flow_run_id=run).next()
    assert list(receive_input(int, timeout=0, flow_run_id=run, exclude_keys={first.metadata.key})) == [2]


def test_what_does_not_fit_the_type_is_an_error_of_the_receiver_once() -> None:
    run = new_run()
    create_flow_run_input("person-auto-1", {"age": 3}, run)
    send_input(Person(name="b"), run)
    receiver = Person.receive(flow_run_id=run, timeout=0)
    with pytest.raises(pydantic.ValidationError):
        receiver.next()
    assert receiver.next().name == "b"


def test_async_code_awaits_the_same_names() -> None:
    run = new_run()

    async def main() -> None:
        await send_input("a", run)
        await Person(name="p").send_to(run)
        receiver = receive_input(str, flow_run_id=run, timeout=0)
        assert await receiver.next() == "a"
        assert [person.name async for person in Person.receive(flow_run_id=run, timeout=0)] == ["p"]
        late = asyncio.create_task(receive_input(int, flow_run_id=run, timeout=30).anext())
        await asyncio.sleep(0)
        await send_input(7, run)
        assert await late == 7

    asyncio.run(main())


def test_without_a_run_an_id_is_needed() -> None:
    with pytest.raises(RuntimeError, match="flow_run_id"):
        receive_input(str)
    with pytest.raises(RuntimeError, match="flow_run_id"):
        read_flow_run_input("k")


def test_single_inputs_are_stored_read_listed_and_deleted() -> None:
    with inside(new_run()):
        create_flow_run_input("a-1", {"x": [1, None]})
        create_flow_run_input("b-1", 2)
        create_flow_run_input("a-2", 3)
        assert read_flow_run_input("a-1") == {"x": [1, None]}
        assert read_flow_run_input("nope") is None
        assert [found.key for found in filter_flow_run_input("a-")] == ["a-1"]
        assert [found.key for found in filter_flow_run_input("a-", limit=5, exclude_keys={"a-1"})] == ["a-2"]
        with pytest.raises(ObjectAlreadyExists, match="key already exists"):
            create_flow_run_input("a-1", 1)
        with pytest.raises(pydantic.ValidationError, match="letters, digits"):
            create_flow_run_input("with blanks", 1)
        delete_flow_run_input("a-1")
        with pytest.raises(ObjectNotFound, match="Flow run input not found"):
            delete_flow_run_input("a-1")


def test_inputs_need_a_run_that_exists() -> None:
    with pytest.raises(ObjectNotFound, match="Flow run not found"):
        send_input("a", uuid4())


def test_a_receiver_may_have_seen_any_number_of_inputs() -> None:
    run = new_run()
    send_input("new", run)
    seen = {f"strautomaticinput-auto-{number}" for number in range(40_000)}
    assert list(receive_input(str, flow_run_id=run, timeout=0, exclude_keys=seen)) == ["new"]


def test_inputs_of_several_senders_come_in_the_order_of_sending() -> None:
    run = new_run()
    code = "import sys; from uuid import UUID; from headrace.input import send_input; send_input(sys.argv[2], UUID(sys.argv[1]))"
    for name in "cab":
        subprocess.run([sys.executable, "-c", code, str(run), name], env=os.environ, check=True)
        send_input(name.upper(), run)
    assert list(receive_input(str, flow_run_id=run, timeout=0)) == ["c", "C", "a", "A", "b", "B"]


def test_inputs_go_with_their_run() -> None:
    run = new_run()
    send_input("a", run)
    call(DELETE_FLOW_RUN, id=run)
    assert filter_flow_run_input("", flow_run_id=run) == []


def test_the_keys_of_a_pause_come_from_its_state() -> None:
    keys = keyset_from_paused_state(Paused(pause_key="1"))
    assert keys == {"description": "paused-1-description", "response": "paused-1-response", "schema": "paused-1-schema"}
    with pytest.raises(RuntimeError, match="paused state"):
        keyset_from_paused_state(Running())


def test_a_type_saves_its_schema_and_loads_the_answer() -> None:
    keys = keyset_from_base_key("paused-1")
    with inside(new_run()):
        asked = Person.with_initial_data(description="Who?", name="anonymous")
        asked.save(keys)
        schema = read_flow_run_input(keys["schema"])
        assert schema["properties"]["name"]["default"] == "anonymous"
        assert schema["additionalProperties"] is False
        assert read_flow_run_input(keys["description"]) == "Who?"
        create_flow_run_input(keys["response"], {"age": 4})
        answer = asked.load(keys)
        assert (answer.name, answer.age, answer.metadata.key) == ("anonymous", 4, keys["response"])
        with pytest.raises(pydantic.ValidationError):
            Person.load(keys)
    assert Person(name="a").age == 0
    with pytest.raises(TypeError, match="no field 'nme'"):
        Person.with_initial_data(nme="x")


def test_a_plain_type_loads_as_its_value() -> None:
    from headrace.input.run_input import run_input_subclass_from_type

    keys = keyset_from_base_key("paused-1")
    with inside(new_run()):
        asked = run_input_subclass_from_type(int)
        asked.save(keys)
        assert read_flow_run_input(keys["schema"])["properties"]["value"]["type"] == "integer"
        create_flow_run_input(keys["response"], {"value": 4})
        assert asked.load(keys) == 4
