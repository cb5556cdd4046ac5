"""`Flow`: a function whose runs are recorded and orchestrated. Defining one imports nothing heavy and does no work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from headrace.data.functions import (
    UserFunction,
    check_hooks,
    check_name,
    check_no_reserved_arguments,
    check_options,
    check_run_name,
    constructor_options,
    is_wrappable,
)
from headrace.engine.offered import FlowMethods

if TYPE_CHECKING:
    from typing import Self

    from headrace.data.parameter_schema import ParameterSchema
    from headrace.engine.task_runners.base import TaskRunner
    from headrace.model.flow_runs import FlowRun
    from headrace.model.states import State

P = ParamSpec("P")
R = TypeVar("R")

FlowStateHook = Callable[["Flow[..., Any]", "FlowRun", "State"], Any]

_HOOKS = ("on_completion", "on_failure", "on_cancellation", "on_crashed", "on_running")


class Flow(FlowMethods, Generic[P, R]):
    """A function whose calls are flow runs. Made by `@flow`.

    Calling a flow runs it here and returns its value, or raises what stopped it. `with_options` returns a changed copy; `flow.fn` is the bare
    function.
    """

    def __init__(
        self,
        fn: Callable[P, R],
        name: str | None = None,
        version: str | None = None,
        flow_run_name: Callable[[], str] | str | None = None,
        retries: int | None = None,
        retry_delay_seconds: float | None = None,
        task_runner: type[TaskRunner[Any]] | TaskRunner[Any] | None = None,
        description: str | None = None,
        timeout_seconds: float | None = None,
        validate_parameters: bool = True,
        persist_result: bool | None = None,
        result_storage: Any = None,
        result_serializer: Any = None,
        cache_result_in_memory: bool = True,
        log_prints: bool | None = None,
        on_completion: list[FlowStateHook] | None = None,
        on_failure: list[FlowStateHook] | None = None,
        on_cancellation: list[FlowStateHook] | None = None,
        on_crashed: list[FlowStateHook] | None = None,
        on_running: list[FlowStateHook] | None = None,
    ) -> None:
        """Check the options and keep them. Raises `TypeError`, `ValueError`, `InvalidNameError` or `ReservedArgumentError`."""
        if not is_wrappable(fn):
            raise TypeError("'fn' must be callable")
        self._options = {key: value for key, value in locals().items() if key not in ("self", "fn", "__class__")}
        self._source = fn
        self.function = UserFunction(fn)
        self.fn = self.function.fn
        update_wrapper(self, self.fn, updated=())  # pyright: ignore[reportArgumentType]  # the stub wants classes' attributes
        check_no_reserved_arguments(self.function, "flow")
        check_run_name(flow_run_name, "flow_run_name")
        hooks = check_hooks("flow", **{option: self._options[option] for option in _HOOKS})
        self.name: str = check_name(name, "flow") if name is not None else _default_name(self.function.name)
        self.description = description or (self.fn.__doc__ and _cleaned(self.fn.__doc__)) or None
        self._version = version
        self.flow_run_name = flow_run_name
        self._retries = retries
        self._retry_delay_seconds = retry_delay_seconds
        self._task_runner = task_runner
        self.timeout_seconds = float(timeout_seconds) if timeout_seconds is not None else None
        self.should_validate_parameters = validate_parameters
        given = result_storage is not None or result_serializer is not None
        self.persist_result = True if persist_result is None and given else persist_result
        self.result_storage = result_storage
        self.result_serializer = result_serializer
        self.cache_result_in_memory = cache_result_in_memory
        self.log_prints = log_prints
        self.isasync = self.function.is_async
        self.isgenerator = self.function.is_generator
        self.on_completion_hooks: list[Callable[..., Any]] = hooks["on_completion"]
        self.on_failure_hooks: list[Callable[..., Any]] = hooks["on_failure"]
        self.on_cancellation_hooks: list[Callable[..., Any]] = hooks["on_cancellation"]
        self.on_crashed_hooks: list[Callable[..., Any]] = hooks["on_crashed"]
        self.on_running_hooks: list[Callable[..., Any]] = hooks["on_running"]
        self.origin: Any = None
        """Where the flow was read from, when that was a source elsewhere: `deploy/storage.py` says."""
        self._bound: Any = None
        self._parameters: ParameterSchema | None = None
        self._file_version: str | None = None
        if validate_parameters:
            _check_annotations(self.function)

    # --- what the engine asks ---------------------------------------------------------------------------------------

    @property
    def version(self) -> str | None:
        """The version given, else a hash of the content of the file that defines the flow (None when there is no file)."""
        if self._version is None and self._file_version is None:
            self._file_version = _file_hash(self.fn)
        return self._version or self._file_version or None

    @property
    def retries(self) -> int:
        """How many more attempts follow a failed one; default: the setting `flows.default_retries`."""
        if self._retries is not None:
            return self._retries
        from headrace.settings import get_current_settings

        return get_current_settings().flows.default_retries

    @property
    def retry_delay_seconds(self) -> float:
        """Seconds before another attempt; default: the setting `flows.default_retry_delay_seconds`."""
        if self._retry_delay_seconds is not None:
            return self._retry_delay_seconds
        from headrace.settings import get_current_settings

        delay = get_current_settings().flows.default_retry_delay_seconds
        return delay[0] if isinstance(delay, list) else delay

    @property
    def task_runner(self) -> TaskRunner[Any]:
        """What runs submitted tasks; default: `ThreadPoolTaskRunner()`. Each attempt enters a duplicate of it."""
        runner = self._task_runner
        if runner is None:
            from headrace.engine.task_runners.threads import ThreadPoolTaskRunner

            runner = ThreadPoolTaskRunner()
        elif isinstance(runner, type):
            runner = runner()
        self._task_runner = runner
        return runner

    @property
    def parameters(self) -> ParameterSchema:
        """The JSON schema of the flow's parameters."""
        if self._parameters is None:
            from headrace.data.callables import parameter_schema

            self._parameters = parameter_schema(self.fn)
        return self._parameters

    @property
    def ismethod(self) -> bool:
        """Whether the flow is bound to an instance or a class."""
        return self._bound is not None

    @property
    def isclassmethod(self) -> bool:
        """Whether the flow wraps a classmethod."""
        return self.function.is_classmethod

    @property
    def isstaticmethod(self) -> bool:
        """Whether the flow wraps a staticmethod."""
        return self.function.is_staticmethod

    @property
    def bound_parameter(self) -> str | None:
        """The name of the parameter that holds the instance or class of a method."""
        return next(iter(self.function.signature.parameters), None) if self._bound is not None else None

    def __get__(self, instance: Any, owner: type | None = None) -> Self:
        target = owner if self.isclassmethod else instance
        if target is None or self.isstaticmethod:
            return self
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound._bound = target
        return bound

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file_version": self.version, "_parameters": None}

    # --- parameters ---------------------------------------------------------------------------------------------------

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by parameter name, defaults included. Raises `ParameterBindError`."""
        return self.function.bind(args if self._bound is None else (self._bound, *args), kwargs)

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters as the annotations want them ("5" becomes 5 for an int).

        Raises `ParameterTypeError` that lists each parameter that does not fit.
        """
        from headrace.engine.parameters import validate

        return validate(self, parameters)

    def serialize_parameters(self, parameters: dict[str, Any] | list[Any]) -> dict[str, Any]:
        """Return the parameters as JSON data; values that have no JSON form become the placeholder "<TypeName>"."""
        from headrace.engine.parameters import serialize

        return serialize(self, dict(parameters))

    # --- options ------------------------------------------------------------------------------------------------------

    def with_options(self, **options: Any) -> Self:
        """Return a copy with these options changed; options that are not given stay. Raises `TypeError` for an unknown option."""
        check_options(options, self._options, "Flow.with_options")
        hooks = {option: list(getattr(self, f"{option}_hooks")) for option in _HOOKS}
        merged: dict[str, Any] = {**self._options, **hooks, **options}
        copy = type(self)(self._source, **merged)
        copy._bound, copy.origin = self._bound, self.origin
        return copy

    def on_completion(self, fn: FlowStateHook) -> FlowStateHook:
        """Add a hook `(flow, flow_run, state)` for a run that completed. Returns `fn`."""
        self.on_completion_hooks.append(fn)
        return fn

    def on_failure(self, fn: FlowStateHook) -> FlowStateHook:
        """Add a hook `(flow, flow_run, state)` for a run that failed and is not tried again. Returns `fn`."""
        self.on_failure_hooks.append(fn)
        return fn

    def on_cancellation(self, fn: FlowStateHook) -> FlowStateHook:
        """Add a hook `(flow, flow_run, state)` for a run that is being cancelled. Returns `fn`."""
        self.on_cancellation_hooks.append(fn)
        return fn

    def on_crashed(self, fn: FlowStateHook) -> FlowStateHook:
        """Add a hook `(flow, flow_run, state)` for a run that something outside its code stopped. Returns `fn`."""
        self.on_crashed_hooks.append(fn)
        return fn

    def on_running(self, fn: FlowStateHook) -> FlowStateHook:
        """Add a hook `(flow, flow_run, state)` for each attempt that begins. Returns `fn`."""
        self.on_running_hooks.append(fn)
        return fn

    # --- calling ------------------------------------------------------------------------------------------------------

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[False] = False, wait_for: Any = None, **kwargs: Any) -> R: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], wait_for: Any = None, **kwargs: Any) -> State: ...
    def __call__(self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Run the flow here and return its value, or its final state with `return_state=True`.

        Inside another flow's run this is a subflow. Async flows give a coroutine, generators iterate. Raises `ParameterBindError` before any run
        is created, `ParameterTypeError` after a run was created and Failed, and what the flow raises.
        """
        from headrace.engine.flow_run import call_flow

        return call_flow(self, self.bind(args, kwargs), wait_for, return_state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


def _default_name(function_name: str) -> str:
    return "unknown-lambda" if function_name == "<lambda>" else function_name.replace("_", "-")


def _cleaned(text: str) -> str:
    import inspect

    return inspect.cleandoc(text)


def _file_hash(fn: Any) -> str:
    """Return a hash of the file that defines a function, or "" when there is none."""
    import inspect

    try:
        path = inspect.getsourcefile(fn)
        if not path:
            return ""
        from headrace.data.hashing import file_hash

        return file_hash(path)
    except (TypeError, OSError):
        return ""


def _check_annotations(function: UserFunction) -> None:
    """Raise `ValueError` for a signature that cannot be validated: names that pydantic keeps for itself."""
    for name in function.signature.parameters:
        if name.startswith("__") or name == "model_config":
            raise ValueError(
                f"Parameter {name!r} of flow {function.name!r} cannot be validated: such names are kept for the validator. Rename it, or "
                "disable validation with `@flow(validate_parameters=False)`."
            )


class FlowDecorator:
    """What `flow` is: it makes flows of functions, and reads them from a source."""

    @overload
    def __call__(self, __fn: Callable[P, R], /) -> Flow[P, R]: ...
    @overload
    def __call__(self, __fn: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
    def __call__(self, __fn: Any = None, /, **options: Any) -> Any:
        """Make a flow of a function: `@flow`, or with options as `@flow(retries=2, log_prints=True)`.

        The options are the parameters of `Flow`. Raises `TypeError` for an unknown option or one of the wrong type.
        """
        if __fn is None:
            _check_options(options)
            return partial(_make_flow, options=options)
        return _make_flow(__fn, options)

    @property
    def from_source(self) -> Callable[..., Any]:
        """`Flow.from_source`."""
        return Flow.from_source

    @property
    def afrom_source(self) -> Callable[..., Any]:
        """`Flow.afrom_source`."""
        return Flow.afrom_source


def _make_flow(fn: Any, options: Mapping[str, Any]) -> Flow[..., Any]:
    return Flow(fn, **options)


def _check_options(options: Mapping[str, Any]) -> None:
    check_options(options, constructor_options(Flow), "flow")
    if "name" in options and options["name"] is not None:
        check_name(options["name"], "flow")


flow = FlowDecorator()
