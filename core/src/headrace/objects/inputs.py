"""Inputs of flow runs: what is sent to a run while it goes on, and what it waits for when it is paused.

Values are matched by type: whoever receives a type gets what was sent as that type, the oldest first, however long ago it was sent.
"""

from __future__ import annotations

import json
from collections.abc import Set
from inspect import isclass
from typing import Any, ClassVar, Generic, TypeVar, cast, get_origin
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PrivateAttr, create_model

from headrace.client.bridge import asleep, blocking, drive
from headrace.client.connect import current_client
from headrace.client.waiting import is_embedded
from headrace.model import clock, ids
from headrace.model.run_inputs import FlowRunInput
from headrace.model.states import State
from headrace.objects.input_values import (
    SENDER_PREFIX,
    acreate_flow_run_input,
    acreate_flow_run_input_from_model,
    afilter_flow_run_input,
    aread_flow_run_input,
    ensure_flow_run_id,
    store_text,
)

R = TypeVar("R", bound="BaseRunInput")
T = TypeVar("T")

Keyset = dict[str, str]
"""The keys under which a request for input and its answer are kept: "description", "response" and "schema"."""

POLL_SECONDS_MIN = 0.05
POLL_SECONDS_EMBEDDED_MAX = 0.1


# --- keys ---------------------------------------------------------------------------------------------------------------------------


def keyset_from_base_key(base_key: str) -> Keyset:
    """Return the three keys that begin with `base_key`."""
    return {part: f"{base_key}-{part}" for part in ("description", "response", "schema")}


def keyset_from_paused_state(state: State) -> Keyset:
    """Return the keys of the input that a paused run waits for. Raises `RuntimeError` for a state that is not paused."""
    if not state.is_paused():
        raise RuntimeError(f"{state.type.value.title()!r} is unsupported: only a paused state has keys for its input.")
    return keyset_from_base_key(f"{str(state.name).lower()}-{state.state_details.pause_key}")


# --- inputs -------------------------------------------------------------------------------------------------------------------------


class RunInputMetadata(BaseModel):
    """Where an input came from: its key, who sent it (`prefect.flow-run.<id>`, None from outside of runs), and the run that received it."""

    key: str
    sender: str | None = None
    receiver: UUID


class BaseRunInput(BaseModel):
    """What inputs have in common."""

    model_config = ConfigDict(extra="forbid")

    _description: ClassVar[str | None] = None
    _metadata: RunInputMetadata | None = PrivateAttr(default=None)

    @property
    def metadata(self) -> RunInputMetadata:
        """Where this input came from. Raises `RuntimeError` for one that was not received."""
        if self._metadata is None:
            raise RuntimeError("This input was made here and not received, so it has no metadata.")
        return self._metadata

    @classmethod
    def keyset_from_type(cls) -> Keyset:
        """Return the keys that are named after this class."""
        return keyset_from_base_key(cls.__name__.lower())

    @classmethod
    async def asave(cls, keyset: Keyset, flow_run_id: UUID | None = None) -> None:
        """Store the JSON schema of this type, and its description if it has one, for those who are to answer."""
        if get_origin(cls) is not None:
            raise TypeError("Cannot save the schema of a generic type: make a subclass of it.")
        await store_text(keyset["schema"], json.dumps(cls.model_json_schema(), sort_keys=True, separators=(",", ":")), flow_run_id, None)
        if cls._description is not None:
            await acreate_flow_run_input(keyset["description"], cls._description, flow_run_id)

    @classmethod
    async def aload(cls, keyset: Keyset, flow_run_id: UUID | None = None) -> Any:
        """Return the answer that was stored, as this type. Raises a validation error when it does not fit, or there is none."""
        run_id = ensure_flow_run_id(flow_run_id)
        value = await aread_flow_run_input(keyset["response"], run_id)
        instance = cls.model_validate({} if value is None else value)
        instance._metadata = RunInputMetadata(key=keyset["response"], sender=None, receiver=run_id)
        return instance

    @classmethod
    def load_from_flow_run_input(cls, flow_run_input: FlowRunInput) -> Any:
        """Return a stored input as this type, with its metadata. Raises a validation error when it does not fit."""
        instance = cls.model_validate_json(flow_run_input.value)
        instance._metadata = RunInputMetadata(key=flow_run_input.key, sender=flow_run_input.sender, receiver=flow_run_input.flow_run_id)
        return instance

    @classmethod
    def with_initial_data(cls: type[R], description: str | None = None, **kwargs: Any) -> type[R]:
        """Return a subclass whose fields default to the given values, and whose `description` (Markdown) is shown to who answers."""
        unknown = sorted(set(kwargs) - set(cls.model_fields))
        if unknown:
            known = ", ".join(cls.model_fields)
            raise TypeError(f"{cls.__name__} has no field {unknown[0]!r}, so it cannot have initial data. Its fields are: {known}.")
        fields: dict[str, Any] = {name: (cls.model_fields[name].annotation, value) for name, value in kwargs.items()}
        made = create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **fields)
        if description is not None:
            made._description = description
        return made

    async def arespond(self, run_input: Any, sender: str | None = None, key_prefix: str | None = None) -> None:
        """Send an input to the flow run that sent this one. Raises `RuntimeError` when no flow run did."""
        receiver = self.metadata.sender
        if receiver is None or not receiver.startswith(SENDER_PREFIX):
            raise RuntimeError("Cannot respond to an input that no flow run sent.")
        await asend_input(run_input, UUID(receiver.removeprefix(SENDER_PREFIX)), sender, key_prefix)

    async def asend_to(self, flow_run_id: UUID, sender: str | None = None, key_prefix: str | None = None) -> None:
        """Send this input to a flow run, which need not listen yet."""
        await asend_input(self, flow_run_id, sender, key_prefix)

    save = blocking(asave)
    load = blocking(aload)
    respond = blocking(arespond)
    send_to = blocking(asend_to)


class RunInput(BaseRunInput):
    """A type of input. Subclass it with fields, as a pydantic model; fields that it does not have are refused."""

    @classmethod
    def receive(
        cls,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        raise_timeout_error: bool = False,
        exclude_keys: Set[str] | None = None,
        key_prefix: str | None = None,
        flow_run_id: UUID | None = None,
    ) -> GetInputHandler[Any]:
        """Receive inputs of this type; see `receive_input`."""
        return GetInputHandler(
            cls,
            key_prefix=key_prefix or _key_prefix(cls),
            timeout=timeout,
            poll_interval=poll_interval,
            raise_timeout_error=raise_timeout_error,
            exclude_keys=exclude_keys,
            flow_run_id=flow_run_id,
        )

    @classmethod
    def subclass_from_base_model_type(cls, model_cls: type[BaseModel]) -> type[RunInput]:
        """Return a type of input with the fields of a pydantic model, which it is an instance of too."""
        return type(model_cls.__name__, (cls, model_cls), {"__module__": model_cls.__module__})


class AutomaticRunInput(BaseRunInput, Generic[T]):
    """An input of a type that is not a model: the value is in `value`."""

    value: T

    @classmethod
    async def aload(cls, keyset: Keyset, flow_run_id: UUID | None = None) -> Any:
        """Return the value of the answer that was stored. Raises a validation error when it does not fit."""
        return (await super().aload(keyset, flow_run_id)).value

    @classmethod
    def subclass_from_type(cls, _type: Any) -> type[AutomaticRunInput[Any]]:
        """Return a type of input for values of `_type`, named after it without its parameters: `list[int]` as `list`."""
        name = getattr(get_origin(_type) or _type, "__name__", None) or str(_type).rpartition(".")[2]
        fields: dict[str, Any] = {"value": (_type, ...)}
        return create_model(f"{name.title()}AutomaticInput", __base__=AutomaticRunInput, __module__=__name__, **fields)

    @classmethod
    def receive(
        cls,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        raise_timeout_error: bool = False,
        exclude_keys: Set[str] | None = None,
        key_prefix: str | None = None,
        flow_run_id: UUID | None = None,
        with_metadata: bool = False,
    ) -> GetAutomaticInputHandler[Any]:
        """Receive values of this type; see `receive_input`."""
        return GetAutomaticInputHandler(
            cls,
            key_prefix=key_prefix or _key_prefix(cls),
            timeout=timeout,
            poll_interval=poll_interval,
            raise_timeout_error=raise_timeout_error,
            exclude_keys=exclude_keys,
            flow_run_id=flow_run_id,
            with_metadata=with_metadata,
        )

    load = blocking(aload)


def run_input_subclass_from_type(_type: Any) -> type[Any]:
    """Return the type of input for `_type`: itself if it is one, else one made of a pydantic model or of any other type."""
    if isclass(_type) and get_origin(_type) is None:
        if issubclass(_type, BaseRunInput):
            return _type
        if issubclass(_type, BaseModel):
            return RunInput.subclass_from_base_model_type(_type)
    return AutomaticRunInput.subclass_from_type(_type)


def _key_prefix(cls: Any) -> str:
    return f"{cls.__name__.lower()}-auto"


# --- receiving and sending ------------------------------------------------------------------------------------------------------------


class GetInputHandler(Generic[R]):
    """Gives the inputs of one type, the oldest first and each once, to `for`, `async for` and `next()`.

    Iteration ends when nothing came for `timeout` seconds (None: never), silently unless `raise_timeout_error`; `next()` raises `TimeoutError`.
    """

    def __init__(
        self,
        run_input_cls: type[R],
        key_prefix: str,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        raise_timeout_error: bool = False,
        exclude_keys: Set[str] | None = None,
        flow_run_id: UUID | None = None,
    ) -> None:
        self.run_input_cls = run_input_cls
        self.key_prefix = key_prefix
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.raise_timeout_error = raise_timeout_error
        self.exclude_keys: set[str] = set(exclude_keys or ())
        self.flow_run_id = ensure_flow_run_id(flow_run_id)

    def to_instance(self, flow_run_input: FlowRunInput) -> Any:
        """Return a stored input as what is given out. Raises a validation error when it does not fit."""
        return self.run_input_cls.load_from_flow_run_input(flow_run_input)

    async def filter_for_inputs(self) -> list[FlowRunInput]:
        """Return the oldest input that was not given out yet, if there is one."""
        return await afilter_flow_run_input(self.key_prefix, 1, self.exclude_keys, self.flow_run_id)

    def filter_for_inputs_sync(self) -> list[FlowRunInput]:
        """Return the oldest input that was not given out yet, if there is one."""
        return drive(self.filter_for_inputs())

    async def anext(self) -> Any:
        """Wait for the next input and return it. Raises `TimeoutError` after `timeout` seconds."""
        deadline = None if self.timeout is None else clock.monotonic() + self.timeout
        step = POLL_SECONDS_MIN
        step_max = min(self.poll_interval, POLL_SECONDS_EMBEDDED_MAX) if is_embedded(current_client()) else self.poll_interval
        while True:
            found = await self.filter_for_inputs()
            if found:
                self.exclude_keys.add(found[0].key)
                return self.to_instance(found[0])
            left = None if deadline is None else deadline - clock.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"No input {self.key_prefix!r} came to flow run {self.flow_run_id} within {self.timeout} seconds.")
            step = min(step, step_max)
            await asleep(step if left is None else min(step, left))
            step *= 1.5

    next = blocking(anext)

    def __iter__(self) -> GetInputHandler[R]:
        return self

    def __next__(self) -> Any:
        try:
            return drive(self.anext())
        except TimeoutError:
            if self.raise_timeout_error:
                raise
            raise StopIteration from None

    def __aiter__(self) -> GetInputHandler[R]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.anext()
        except TimeoutError:
            if self.raise_timeout_error:
                raise
            raise StopAsyncIteration from None


class GetAutomaticInputHandler(GetInputHandler["AutomaticRunInput[T]"], Generic[T]):
    """Gives the values of one type; with `with_metadata` the inputs that carry them."""

    def __init__(self, *args: Any, with_metadata: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.with_metadata = with_metadata

    def to_instance(self, flow_run_input: FlowRunInput) -> Any:
        """Return a stored input as its value, or with its metadata. Raises a validation error when it does not fit."""
        instance = super().to_instance(flow_run_input)
        return instance if self.with_metadata else instance.value


async def asend_input(run_input: Any, flow_run_id: UUID, sender: str | None = None, key_prefix: str | None = None) -> None:
    """Send a value to a flow run, which receives it when it asks for that type, now or later.

    `run_input` is a `RunInput`, a pydantic model or anything that JSON can hold. The current flow run is noted as its sender.
    """
    sent: Any = run_input
    if not isinstance(run_input, BaseRunInput):
        values = dict(run_input) if isinstance(run_input, BaseModel) else {"value": run_input}
        sent = run_input_subclass_from_type(type(run_input))(**values)
    key = f"{key_prefix or _key_prefix(type(sent))}-{ids.new()}"
    await acreate_flow_run_input_from_model(key, sent, flow_run_id, sender)


send_input = blocking(asend_input)


def receive_input(
    input_type: Any,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    raise_timeout_error: bool = False,
    exclude_keys: Set[str] | None = None,
    key_prefix: str | None = None,
    flow_run_id: UUID | None = None,
    with_metadata: bool = False,
) -> GetInputHandler[Any] | GetAutomaticInputHandler[Any]:
    """Receive what is sent to a flow run as `input_type`, the oldest first: iterate over the answer, or call its `next()`.

    Args:
        input_type: a `RunInput`, a pydantic model, or any other type as `str` or `list[int]`. Senders must send that type.
        timeout: seconds to wait for each input; None waits for ever.
        poll_interval: seconds between two looks at a server, at most. A store in this process is looked at every 50 to 100 ms.
        raise_timeout_error: raise `TimeoutError` at the end of the time, instead of ending the iteration.
        exclude_keys: keys (`metadata.key`) of inputs that were seen before.
        key_prefix: look for keys that begin so, instead of those of the type.
        flow_run_id: the run whose inputs are received; by default the current one.
        with_metadata: for a type that is not a model, give an object with `value`, `metadata` and `respond` instead of the value.
    """
    cls = cast("Any", run_input_subclass_from_type(input_type))
    options: dict[str, Any] = {"with_metadata": with_metadata} if issubclass(cls, AutomaticRunInput) else {}
    return cls.receive(
        timeout=timeout,
        poll_interval=poll_interval,
        raise_timeout_error=raise_timeout_error,
        exclude_keys=exclude_keys,
        key_prefix=key_prefix,
        flow_run_id=flow_run_id,
        **options,
    )
