"""The options of `@task`, for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from headrace.data.annotations import NotSet
    from headrace.data.caching import CachePolicy
    from headrace.data.transactions import Transaction
    from headrace.engine.task import RetryCondition, StateHook


class TaskOptions(TypedDict, total=False):
    """What `@task(…)` takes, as `**options: Unpack[TaskOptions]` in a function that hands options on. See `Task` for their meaning."""

    name: str | None
    description: str | None
    tags: Iterable[str] | None
    version: str | None
    cache_policy: CachePolicy | type[NotSet] | None
    cache_key_fn: Callable[[Any, dict[str, Any]], str | None] | None
    cache_expiration: timedelta | None
    task_run_name: Callable[..., str] | str | None
    retries: int | None
    retry_delay_seconds: float | list[float] | Callable[[int], list[float]] | None
    retry_jitter_factor: float | None
    persist_result: bool | None
    result_storage: Any
    result_serializer: Any
    result_storage_key: str | None
    cache_result_in_memory: bool
    timeout_seconds: float | None
    log_prints: bool | None
    refresh_cache: bool | None
    on_completion: list[StateHook] | None
    on_failure: list[StateHook] | None
    on_running: list[StateHook] | None
    on_rollback: list[Callable[[Transaction], Any]] | None
    on_commit: list[Callable[[Transaction], Any]] | None
    retry_condition_fn: RetryCondition | None
    viz_return_value: Any
    asset_deps: Iterable[Any] | None
