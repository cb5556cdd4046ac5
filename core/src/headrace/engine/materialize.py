"""`@materialize`: tasks that produce assets. What becomes of the assets when such a task ends: `assets.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from headrace.engine.task import Task

if TYPE_CHECKING:
    from headrace.engine.assets import Asset

P = ParamSpec("P")
R = TypeVar("R")


class MaterializingTask(Task[P, R]):
    """A task that produces `assets` (objects or keys); `materialized_by` names the tool that really does it, as "dbt"."""

    def __init__(self, fn: Callable[P, R], *, assets: Sequence[str | Asset], materialized_by: str | None = None, **options: Any) -> None:
        from headrace.engine.assets import as_asset

        super().__init__(fn, **options)
        self.assets: list[Asset] = [as_asset(asset) for asset in assets]
        self.materialized_by = materialized_by
        self._options.update(assets=list(self.assets), materialized_by=materialized_by)

    def with_options(self, assets: Sequence[str | Asset] | None = None, **options: Any) -> Self:
        """Return a copy with these options changed, the assets among them. See `Task.with_options`."""
        return super().with_options(**options) if assets is None else super().with_options(assets=assets, **options)


def materialize(*assets: str | Asset, by: str | None = None, **task_options: Any) -> Callable[[Callable[P, R]], MaterializingTask[P, R]]:
    """Make a task of a function that produces `assets`, objects or keys: `@materialize("s3://bucket/data.csv")`.

    `by` names the tool that does the work, as "dbt"; the other options are those of `@task`. Each run that ends tells by events whether the
    assets were produced and from which others. Raises `TypeError` without assets, a validation error for a key that is not an address.
    """
    if not assets or not all(isinstance(asset, str) or hasattr(asset, "key") for asset in assets):
        raise TypeError("materialize() requires at least one asset, an Asset or its key: @materialize('s3://bucket/data.csv').")

    def decorate(fn: Callable[P, R]) -> MaterializingTask[P, R]:
        return MaterializingTask(fn, assets=assets, materialized_by=by, **task_options)

    return decorate
