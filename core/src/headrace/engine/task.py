"""`Task`: a function with what the engine needs to know about it. Defining one imports nothing heavy and does no work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from headrace.data.annotations import NotSet
from headrace.data.functions import (
    UserFunction,
    check_hooks,
    check_no_reserved_arguments,
    check_options,
    check_run_name,
    constructor_options,
    is_wrappable,
)
from headrace.engine.context import current
from headrace.engine.offered import TaskMethods

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Self, Unpack

    from headrace.data.caching import CachePolicy
    from headrace.data.transactions import Transaction
    from headrace.engine.futures import HeadraceFuture, HeadraceFutureList
    from headrace.engine.task_options import TaskOptions
    from headrace.model.states import State
    from headrace.model.task_runs import TaskRun

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS_MAX = 50

StateHook = Callable[["Task[..., Any]", "TaskRun", "State"], Any]
RetryCondition = Callable[["Task[..., Any]", "TaskRun", "State"], Any]

_HOOKS = ("on_completion", "on_failure", "on_running", "on_rollback", "on_commit")


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Return a function that gives the delays of `retries` attempts: `backoff_factor` seconds doubled each time, at most 50 of them."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2**attempt for attempt in range(min(retries, RETRY_DELAYS_MAX))]

    return delays


class Task(TaskMethods, Generic[P, R]):
    """A unit of work whose runs are recorded, retried, cached and rolled back. Made by `@task`.

    `Task.with_options` returns a changed copy. Calling a task runs it here and returns its value; `submit` and `map` hand runs to the flow's task
    runner and return futures. `task.fn` is the bare function.
    """

    _bound: Any = None
    _task_key: str | None = None
    _source_code: str | None = None

    def __init__(
        self,
        fn: Callable[P, R],
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        version: str | None = None,
        cache_policy: CachePolicy | type[NotSet] | None = NotSet,
        cache_key_fn: Callable[[Any, dict[str, Any]], str | None] | None = None,
        cache_expiration: timedelta | None = None,
        task_run_name: Callable[..., str] | str | None = None,
        retries: int | None = None,
        retry_delay_seconds: float | list[float] | Callable[[int], list[float]] | None = None,
        retry_jitter_factor: float | None = None,
        persist_result: bool | None = None,
        result_storage: Any = None,
        result_serializer: Any = None,
        result_storage_key: str | None = None,
        cache_result_in_memory: bool = True,
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
        refresh_cache: bool | None = None,
        on_completion: list[StateHook] | None = None,
        on_failure: list[StateHook] | None = None,
        on_running: list[StateHook] | None = None,
        on_rollback: list[Callable[[Transaction], Any]] | None = None,
        on_commit: list[Callable[[Transaction], Any]] | None = None,
        retry_condition_fn: RetryCondition | None = None,
        viz_return_value: Any = None,
        asset_deps: Iterable[Any] | None = None,
    ) -> None:
        """Check the options and keep them. Raises `TypeError`, `ValueError` or `ReservedArgumentError` that names the wrong one."""
        if not is_wrappable(fn):
            raise TypeError("'fn' must be callable")
        self._options = {key: value for key, value in locals().items() if key not in ("self", "fn", "__class__")}
        self._source = fn
        self.function = UserFunction(fn)
        self.fn = self.function.fn
        update_wrapper(self, self.fn, updated=())  # pyright: ignore[reportArgumentType]  # the stub wants classes' attributes
        _check_function(self.function, task_run_name, retry_condition_fn, retry_jitter_factor)
        hooks = check_hooks("task", **{option: self._options[option] for option in _HOOKS})
        self.name: str = name or self.function.name
        self.description = description or (self.fn.__doc__ and _cleaned(self.fn.__doc__)) or None
        self.tags = set(tags or ())
        self.version = version
        self.isasync = self.function.is_async
        self.isgenerator = self.function.is_generator
        self.task_run_name = task_run_name
        self._retries = retries
        self._retry_delay_seconds = _checked_delay(retry_delay_seconds, retries)
        self.retry_jitter_factor = retry_jitter_factor
        self.retry_condition_fn = retry_condition_fn
        self.timeout_seconds = float(timeout_seconds) if timeout_seconds is not None else None
        self.log_prints = log_prints
        self.refresh_cache = refresh_cache
        self.cache_expiration = cache_expiration
        self.cache_key_fn = cache_key_fn
        self.cache_result_in_memory = cache_result_in_memory
        self.result_storage = result_storage
        self.result_serializer = result_serializer
        self.result_storage_key = result_storage_key
        self.persist_result = _inferred_persistence(self._options)
        self.viz_return_value = viz_return_value
        self.asset_deps = list(asset_deps or ())
        self.on_completion_hooks: list[Callable[..., Any]] = hooks["on_completion"]
        self.on_failure_hooks: list[Callable[..., Any]] = hooks["on_failure"]
        self.on_running_hooks: list[Callable[..., Any]] = hooks["on_running"]
        self.on_rollback_hooks: list[Callable[..., Any]] = hooks["on_rollback"]
        self.on_commit_hooks: list[Callable[..., Any]] = hooks["on_commit"]
        _warn_of_ignored_options(self)

    # --- what the engine asks ---------------------------------------------------------------------------------------

    @property
    def ismethod(self) -> bool:
        """Whether the task is bound to an instance or a class."""
        return self._bound is not None

    @property
    def isclassmethod(self) -> bool:
        """Whether the task wraps a classmethod."""
        return self.function.is_classmethod

    @property
    def isstaticmethod(self) -> bool:
        """Whether the task wraps a staticmethod."""
        return self.function.is_staticmethod

    @property
    def retries(self) -> int:
        """How many more attempts follow a failed one; default: the setting `tasks.default_retries`."""
        if self._retries is not None:
            return self._retries
        from headrace.settings import get_current_settings

        return get_current_settings().tasks.default_retries

    @property
    def retry_delay_seconds(self) -> float | list[float]:
        """Seconds before each further attempt (the last value repeats); default: the setting `tasks.default_retry_delay_seconds`."""
        if self._retry_delay_seconds is not None:
            return self._retry_delay_seconds
        from headrace.settings import get_current_settings

        return get_current_settings().tasks.default_retry_delay_seconds or 0

    @property
    def cache_policy(self) -> CachePolicy:
        """What a run's cache key is made of."""
        from headrace.data.caching import effective_policy

        return effective_policy(self, self._options["cache_policy"])

    @property
    def task_key(self) -> str:
        """What tells this task from others: its name and a hash of its code."""
        if self._task_key is None:
            from headrace.data.hashing import hash_objects

            code = getattr(self.fn, "__code__", None)
            tail = getattr(self.fn, "__qualname__", type(self.fn).__qualname__).split(".")[-1]
            marks = (code.co_code, [one for one in code.co_consts if isinstance(one, (str, int, float, bytes))]) if code else (tail,)
            self._task_key = f"{tail}-{(hash_objects(self.name, repr(marks)) or '')[:8]}"
        return self._task_key

    @property
    def source_code(self) -> str | None:
        """The text of the function; travels with a pickled task, so that cache keys made of it are the same elsewhere."""
        if self._source_code is None:
            import inspect

            try:
                self._source_code = inspect.getsource(self.fn)
            except (OSError, TypeError):
                return None
        return self._source_code

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_source_code": self.source_code, "_task_key": self.task_key}

    def __get__(self, instance: Any, owner: type | None = None) -> Self:
        target = owner if self.isclassmethod else instance
        if target is None or self.isstaticmethod:
            return self
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound._bound = target
        return bound

    # --- options ------------------------------------------------------------------------------------------------------

    def with_options(self, **options: Any) -> Self:
        """Return a copy with these options changed. Options that are not given stay; `tags` replace those of the original.

        Raises `TypeError` for an unknown option.
        """
        check_options(options, self._options, "Task.with_options")
        hooks = {option: list(getattr(self, f"{option}_hooks")) for option in _HOOKS}
        merged: dict[str, Any] = {**self._options, **hooks, **options}
        copy = type(self)(self._source, **merged)
        copy._bound = self._bound
        copy._source_code = self._source_code
        return copy

    def on_completion(self, fn: StateHook) -> StateHook:
        """Add a hook `(task, task_run, state)` for a run that completed, from the cache too. Returns `fn`."""
        self.on_completion_hooks.append(fn)
        return fn

    def on_failure(self, fn: StateHook) -> StateHook:
        """Add a hook `(task, task_run, state)` for a run that failed and is not tried again. Returns `fn`."""
        self.on_failure_hooks.append(fn)
        return fn

    def on_running(self, fn: StateHook) -> StateHook:
        """Add a hook `(task, task_run, state)` for each attempt that begins. Returns `fn`."""
        self.on_running_hooks.append(fn)
        return fn

    def on_commit(self, fn: Callable[[Transaction], Any]) -> Callable[[Transaction], Any]:
        """Add a hook `(transaction)` for the moment the run's transaction is committed. Returns `fn`."""
        self.on_commit_hooks.append(fn)
        return fn

    def on_rollback(self, fn: Callable[[Transaction], Any]) -> Callable[[Transaction], Any]:
        """Add a hook `(transaction)` for the moment the run's transaction is rolled back. Returns `fn`."""
        self.on_rollback_hooks.append(fn)
        return fn

    # --- calling ------------------------------------------------------------------------------------------------------

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any], defaults: bool = True) -> dict[str, Any]:
        """Return the arguments by parameter name."""
        return self.function.bind(args if self._bound is None else (self._bound, *args), kwargs, defaults)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[False] = False, wait_for: Any = None, **kwargs: Any) -> R: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], wait_for: Any = None, **kwargs: Any) -> State: ...
    def __call__(self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Run the task here and return its value, or its final state with `return_state=True`. Works inside and outside flows.

        `wait_for`: runs (futures, states) that must have completed first. Async tasks give a coroutine, generators iterate.
        """
        from headrace.engine.task_run import call_task

        return call_task(self, self.bind(args, kwargs), wait_for, return_state)

    @overload
    def submit(self, *args: P.args, **kwargs: P.kwargs) -> HeadraceFuture[R]: ...
    @overload
    def submit(self, *args: Any, return_state: Literal[False] = False, wait_for: Any = None, **kwargs: Any) -> HeadraceFuture[R]: ...
    @overload
    def submit(self, *args: Any, return_state: Literal[True], wait_for: Any = None, **kwargs: Any) -> State: ...
    def submit(self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Hand a run to the flow's task runner and return its future at once (its final state with `return_state=True`).

        Raises `RuntimeError` outside a flow.
        """
        frame = self._require_flow("submit", "To run a task outside of flows, call it, or `.delay` it to a task worker.")
        future = frame.task_runner.submit(self, self.bind(args, kwargs), wait_for)
        frame.submitted.append(future)
        if not return_state:
            return future
        future.wait()
        return future.state

    @overload
    def map(self, *args: Any, return_state: Literal[True], wait_for: Any = None, **kwargs: Any) -> list[State]: ...
    @overload
    def map(self, *args: Any, return_state: Literal[False] = False, wait_for: Any = None, **kwargs: Any) -> HeadraceFutureList[R]: ...
    def map(self, *args: Any, return_state: bool = False, wait_for: Any = None, deferred: bool = False, **kwargs: Any) -> Any:
        """Submit one run for each element of the iterable arguments; return their futures in order. `deferred=True` hands them to task workers,
        inside and outside flows.

        Text, scalars, defaults and `unmapped(x)` are the same for every run. Raises `MappingMissingIterable`, `MappingLengthMismatch`,
        and `RuntimeError` outside a flow.
        """
        from headrace.engine.dependencies import listed
        from headrace.engine.futures import HeadraceFutureList
        from headrace.engine.mapping import expand

        wanted = listed(wait_for)
        frame = None if deferred else self._require_flow("map", "To map outside of flows, use `deferred=True` or call the task for each element.")
        futures: HeadraceFutureList[Any] = HeadraceFutureList()
        for parameters in expand(self, self.bind(args, kwargs, defaults=False)):
            if frame is None:
                call = self.function.unbind(parameters)
                futures.append(self.apply_async(call[0][1:] if self.ismethod else call[0], call[1], wait_for=wanted))
                continue
            future = frame.task_runner.submit(self, parameters, wanted)
            frame.submitted.append(future)
            futures.append(future)
        if not return_state:
            return futures
        futures.wait()
        return [future.state for future in futures]

    def _require_flow(self, verb: str, advice: str) -> Any:
        frame = current().flow
        if frame is None:
            raise RuntimeError(f"Unable to determine task runner to use for {verb}: task {self.name!r} is not called from within a flow. {advice}")
        return frame

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


def _cleaned(text: str) -> str:
    import inspect

    return inspect.cleandoc(text)


def _check_function(function: UserFunction, run_name: Any, retry_condition_fn: Any, retry_jitter_factor: float | None) -> None:
    check_no_reserved_arguments(function, "task")
    check_run_name(run_name, "task_run_name")
    if retry_condition_fn is not None and not callable(retry_condition_fn):
        raise TypeError(f"Expected 'retry_condition_fn' to be callable, got {type(retry_condition_fn).__name__} instead.")
    if retry_jitter_factor is not None and retry_jitter_factor < 0:
        raise ValueError(f"`retry_jitter_factor` must be >= 0, not {retry_jitter_factor}.")


def _checked_delay(delay: Any, retries: int | None) -> float | list[float] | None:
    if callable(delay):
        delay = delay(retries or 0)
    if delay is None:
        return None
    if isinstance(delay, (list, tuple)):
        delays = list(delay)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # checked below
        if len(delays) > RETRY_DELAYS_MAX:  # pyright: ignore[reportUnknownArgumentType]  # checked below
            raise ValueError(f"Can not configure more than {RETRY_DELAYS_MAX} retry delays per task; got {len(delays)}.")  # pyright: ignore[reportUnknownArgumentType]  # checked below
        if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in delays):  # pyright: ignore[reportUnknownVariableType]  # checked below
            raise TypeError(f"`retry_delay_seconds` must hold numbers of seconds, got {delays!r}.")
        return delays  # pyright: ignore[reportUnknownVariableType]  # checked below
    if isinstance(delay, bool) or not isinstance(delay, (int, float)):
        raise TypeError(f"Invalid `retry_delay_seconds` provided; must be an int, float, list or callable. Received type {type(delay).__name__}.")
    return delay


def _inferred_persistence(options: Mapping[str, Any]) -> bool | None:
    if options["persist_result"] is not None:
        return options["persist_result"]
    policy = options["cache_policy"]
    implied = policy is not NotSet and policy is not None and not getattr(policy, "is_no_cache", False)
    named = ("cache_key_fn", "result_storage_key", "result_storage", "result_serializer")
    return True if implied or any(options[name] is not None for name in named) else None


def _warn_of_ignored_options(task: Task[..., Any]) -> None:
    options = task._options  # pyright: ignore[reportPrivateUsage]  # one class with its helper
    policy = options["cache_policy"]
    given = policy is not NotSet and policy is not None
    wants_cache = (given and not getattr(policy, "is_no_cache", False)) or task.cache_key_fn is not None
    if given and task.cache_key_fn is not None:
        _warn(task, "both `cache_policy` and `cache_key_fn` are given; `cache_key_fn` is used and the policy ignored. Remove one of them.")
    elif options["persist_result"] is False and wants_cache:
        _warn(task, "caching needs persisted results, and `persist_result=False` turns them off, so it never finds anything. Remove one.")


def _warn(task: Task[..., Any], text: str) -> None:
    import logging

    logging.getLogger("headrace.tasks").warning("Task %r: %s", task.name, text)


@overload
def task(__fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(__fn: None = None, /, **options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(__fn: Any = None, /, **options: Any) -> Any:
    """Make a task of a function: `@task`, or with options as `@task(retries=2, retry_delay_seconds=[1, 10])`.

    The options are the parameters of `Task`. Raises `TypeError` for an unknown option or one of the wrong type.
    """
    if __fn is None:
        check_options(options, constructor_options(Task), "task")
        return partial(_make_task, options=options)
    return _make_task(__fn, options)


def _make_task(fn: Any, options: Mapping[str, Any]) -> Task[..., Any]:
    return Task(fn, **options)
