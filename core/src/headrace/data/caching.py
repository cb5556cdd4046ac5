"""Cache policies: recipes for the key under which a task's result is looked up before the task runs. Policies are values."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from headrace.data.annotations import NotSet
from headrace.data.hashing import hash_objects, stable_hash
from headrace.data.locking.base import IsolationLevel, LockManager
from headrace.data.storage import file_name
from headrace.model.errors import HashError

CacheKeyFn = Callable[[Any, dict[str, Any]], str | None]

_CONFIGURED = ("key_storage", "isolation_level", "lock_manager")


@dataclass
class CachePolicy:
    """Base of all policies: subclass it and write `compute_key`.

    `key_storage`: where cache records are kept apart from results (a block or the `Path` of a folder). `isolation_level`: what
    simultaneous runs with one key see of each other; SERIALIZABLE needs a `lock_manager`. `p + q` combines two policies into one
    whose key changes when either's does; `p - "name"` leaves an input out.
    """

    key_storage: Any = None
    isolation_level: IsolationLevel | None = None
    lock_manager: LockManager | None = None

    @property
    def is_no_cache(self) -> bool:
        """Whether the policy never gives a key."""
        return False

    @classmethod
    def from_cache_key_fn(cls, cache_key_fn: CacheKeyFn) -> CacheKeyFnPolicy:
        """Return the policy whose key is what `cache_key_fn(context, parameters)` returns."""
        return CacheKeyFnPolicy(cache_key_fn=cache_key_fn)

    def configure(
        self,
        key_storage: Any = None,
        lock_manager: LockManager | None = None,
        isolation_level: IsolationLevel | str | None = None,
    ) -> Self:
        """Return a copy with what is given here in the place of what was configured."""
        changed = copy.copy(self)
        if key_storage is not None:
            changed.key_storage = key_storage
        if lock_manager is not None:
            changed.lock_manager = lock_manager
        if isolation_level is not None:
            changed.isolation_level = IsolationLevel(isolation_level)
        return changed

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str | None:
        """Return the key of a run, or None when it shall not be cached.

        `inputs` are the task's resolved arguments by name, `flow_parameters` those of the enclosing flow. Raises `HashError`
        when a value that belongs to the key cannot be hashed.
        """
        raise TypeError(f"{type(self).__name__} has no `compute_key`: a cache policy must say what its key is.")

    def __sub__(self, other: str) -> CachePolicy:
        _check_name(other)
        return self

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if not isinstance(other, CachePolicy):  # pyright: ignore[reportUnnecessaryIsInstance]  # an operator is called with anything
            return NotImplemented
        if other.is_no_cache:
            return self
        if self.is_no_cache:
            return other
        configured = {name: _same(name, getattr(self, name), getattr(other, name)) for name in _CONFIGURED}
        return CompoundCachePolicy(policies=[*_parts(self), *_parts(other)], **configured)


def _parts(policy: CachePolicy) -> list[CachePolicy]:
    return policy.policies if isinstance(policy, CompoundCachePolicy) else [policy]


def _same(name: str, left: Any, right: Any) -> Any:
    if left is not None and right is not None and left != right:
        what = name.replace("_", " ")
        raise ValueError(f"Cannot add cache policies with different {what}s: {left!r} and {right!r}. Call `.configure({name}=…)` on the sum.")
    return right if left is None else left


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"Can only subtract the names of inputs from a cache policy, as in `INPUTS - 'debug'`, not {name!r}.")


def task_input_hash(context: Any, arguments: dict[str, Any]) -> str | None:
    """Return a cache key of the task, its code and all arguments: `@task(cache_key_fn=task_input_hash)`.

    None, so that the run is not cached, when an argument can be hashed neither as JSON nor as a pickle. `INPUTS + TASK_SOURCE` says the
    same as a policy, and such an argument is an error there.
    """
    return hash_objects(context.task.task_key, _source_of(context.task), arguments)


@dataclass
class CacheKeyFnPolicy(CachePolicy):
    """The key is what a function `(task_run_context, parameters)` returns; None: not cached."""

    cache_key_fn: CacheKeyFn | None = None

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str | None:
        """Ask the function."""
        return None if self.cache_key_fn is None else self.cache_key_fn(task_ctx, inputs)


@dataclass
class CompoundCachePolicy(CachePolicy):
    """The key is a hash of the keys of all `policies`, whatever their order; those without a key do not count."""

    policies: list[CachePolicy] = field(default_factory=list[CachePolicy])

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str | None:
        """Hash the sorted keys of all policies; None when none has one."""
        keys = [policy.compute_key(task_ctx, inputs, flow_parameters, **kwargs) for policy in self.policies]
        present = sorted(key for key in keys if key is not None)
        return hash_objects(*present, raise_on_failure=True) if present else None

    def __sub__(self, other: str) -> CachePolicy:
        _check_name(other)
        changed = copy.copy(self)
        changed.policies = [policy - other for policy in self.policies]
        return changed


@dataclass
class _None(CachePolicy):
    """Never gives a key: nothing is cached, and with that nothing kept."""

    @property
    def is_no_cache(self) -> bool:
        """Whether the policy never gives a key."""
        return True

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str | None:
        """Return None."""
        return None


@dataclass
class Inputs(CachePolicy):
    """The key is a hash of the task's inputs, without those named in `exclude`. A task without inputs has no key."""

    exclude: list[str] = field(default_factory=list[str])

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str | None:
        """Hash the inputs. Raises `HashError` that names those which cannot be hashed."""
        if not inputs:
            return None
        counted = {name: value for name, value in inputs.items() if name not in self.exclude}
        try:
            return hash_objects(counted, raise_on_failure=True)
        except HashError as error:
            culprits = [name for name, value in counted.items() if hash_objects(value) is None]
            raise HashError(
                f"Inputs {', '.join(map(repr, culprits)) or 'together'} cannot be hashed for the cache key. Leave them out, as in "
                f"`INPUTS - {(culprits or ['name'])[0]!r}`, pass a `cache_key_fn`, or use `cache_policy=NO_CACHE`. Details: {error}"
            ) from error

    def __sub__(self, other: str) -> CachePolicy:
        _check_name(other)
        changed = copy.copy(self)
        changed.exclude = [*self.exclude, other]
        return changed


@dataclass
class TaskSource(CachePolicy):
    """The key is a hash of the text of the task's own function, not of what it calls."""

    def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any) -> str | None:
        """Hash the source text, or the compiled code where there is no text."""
        if not task_ctx:
            return None
        return hash_objects(_source_of(task_ctx.task), raise_on_failure=True)


def _source_of(task: Any) -> str | bytes:
    text: str | None = getattr(task, "source_code", None)
    if text is not None:
        return text
    code = getattr(task.fn, "__code__", None)
    if code is None:
        code = type(task.fn).__call__.__code__
    return stable_hash(code.co_code, repr(code.co_consts))


@dataclass
class DeepSource(CachePolicy):
    """The key is a hash of the task's source and of what it uses: helper functions of its own package, constants, closures.

    Followed are the functions and classes that the code names and whose top-level package is the task's; other packages count
    by their version, where they have one.
    """

    def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any) -> str | None:
        """Hash all that was found."""
        if not task_ctx:
            return None
        from headrace.data.source import deep_source

        return hash_objects(deep_source(task_ctx.task.fn, _source_of(task_ctx.task)), raise_on_failure=True)


@dataclass
class FlowParameters(CachePolicy):
    """The key is a hash of the enclosing flow's parameters; none outside flows and for flows without parameters."""

    def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any) -> str | None:
        """Hash the parameters."""
        return hash_objects(flow_parameters, raise_on_failure=True) if flow_parameters else None


@dataclass
class RunId(CachePolicy):
    """The key is the id of the enclosing flow run, or of the task run where there is none: nothing is found again by other runs."""

    def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any) -> str | None:
        """Return the id as text."""
        if not task_ctx:
            return None
        run: Any = getattr(task_ctx, "record", None) or task_ctx.task_run
        return str(run.flow_run_id or run.id)


@dataclass(init=False)
class VERSION(CachePolicy):
    """The key is a version that you give: `INPUTS + VERSION("2")` makes all earlier results count no longer."""

    version: str = ""

    def __init__(self, version: str, key_storage: Any = None, isolation_level: Any = None, lock_manager: Any = None) -> None:
        super().__init__(key_storage, isolation_level, lock_manager)
        self.version = version

    def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any) -> str | None:
        """Return a hash of the version."""
        return stable_hash("version", self.version)


INPUTS = Inputs()
NONE = _None()
NO_CACHE = _None()
TASK_SOURCE = TaskSource()
DEEP_SOURCE = DeepSource()
FLOW_PARAMETERS = FlowParameters()
RUN_ID = RunId()
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID


# --- what the engine asks --------------------------------------------------------------------------------------------------


def effective_policy(task: Any, given: Any) -> CachePolicy:
    """Return the policy that counts for a task, from its options and the settings.

    In order: caching is disabled for all → none; `result_storage_key` is the key itself → none; `cache_key_fn`; the policy
    `given` (None: none); `persist_result=False` → none; the setting `tasks.default_no_cache` → none; else `DEFAULT`.
    """
    from headrace.settings import get_current_settings

    tasks = get_current_settings().tasks
    if tasks.disable_caching or task.result_storage_key is not None:
        return NO_CACHE
    if task.cache_key_fn is not None:
        return CachePolicy.from_cache_key_fn(task.cache_key_fn)
    if given is not NotSet:
        return NO_CACHE if given is None else given
    if task.persist_result is False or tasks.default_no_cache:
        return NO_CACHE
    return DEFAULT


_warned: set[str] = set()


def cache_key(policy: CachePolicy, context: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], warn: Callable[..., Any]) -> str | None:
    """Return the key of a run, safe as the name of a file, or None when the run is not cached.

    When the key cannot be computed the task runs uncached, and `warn(message, *values)` is called: once for each task and error.
    """
    try:
        key = policy.compute_key(context, inputs, flow_parameters)
    except Exception as error:  # noqa: BLE001  # policies and key functions are users' code; without a key the task still runs
        message = f"{type(error).__name__}: {error}"
        mark = f"{getattr(context.task, 'task_key', context.task)} {message}"
        if mark not in _warned:
            _warned.add(mark)
            warn("Task %r is neither cached nor its result kept, for its cache key could not be computed. %s", context.task.name, message)
        return None
    return None if key is None else file_name(str(key))
