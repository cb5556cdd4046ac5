"""Assets as users name them, what tasks tell of them, and how they follow from one another along the task graph."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic import ConfigDict

from headrace.engine.context import FlowRunContext, TaskRunContext
from headrace.engine.materialize import MaterializingTask
from headrace.model.assets import AssetKey, AssetProperties
from headrace.model.base import Model
from headrace.model.errors import HeadraceException
from headrace.objects.events import emit_event

if TYPE_CHECKING:
    from headrace.engine.outcome import Outcome
    from headrace.engine.task_run import TaskCall

RESULTS_MAX = 1_000
"""How many results of a flow run are remembered with the assets that they came from."""

logger = logging.getLogger("headrace.assets")


class Asset(Model):
    """Something that workflows produce or use, as a table or a file. `key` is its address: `s3://bucket/data.csv`. Cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: AssetKey
    properties: AssetProperties | None = None

    def __init__(self, key: str, properties: AssetProperties | None = None, **values: Any) -> None:
        super().__init__(**{"key": key, "properties": properties, **values})

    def add_metadata(self, metadata: dict[str, Any]) -> None:
        """Tell more of this asset from the task that materializes it; see `add_asset_metadata`."""
        add_asset_metadata(self, metadata)

    def __repr__(self) -> str:
        return f"Asset(key={self.key!r})"

    def __hash__(self) -> int:
        return hash(self.key)


def as_asset(asset: Asset | str) -> Asset:
    """Return the asset of a key. Raises a validation error for text that is no key."""
    return Asset(asset) if isinstance(asset, str) else asset


_metadata: WeakKeyDictionary[TaskRunContext, dict[str, dict[str, Any]]] = WeakKeyDictionary()


def add_asset_metadata(asset: Asset | str, metadata: dict[str, Any]) -> None:
    """Tell something of an asset, as a row count, from the task that materializes it. Calls add up; a later value of a name wins.

    Raises `RuntimeError` outside of tasks, `ValueError` for an asset that the running task does not materialize.
    """
    key = as_asset(asset).key
    context = TaskRunContext.get()
    if context is None:
        raise RuntimeError("Unable to call `add_asset_metadata` when not inside of a task that materializes assets.")
    keys = [one.key for one in assets_of(context.task)]
    if key not in keys:
        raise ValueError(
            f"Task {context.task.name!r} does not materialize {key!r}, so nothing can be told of it here. It materializes: "
            f"{', '.join(map(repr, keys)) or 'nothing'}."
        )
    _metadata.setdefault(context, {}).setdefault(key, {}).update(metadata)


def assets_of(task: Any) -> list[Asset]:
    """Return the assets that a task materializes."""
    return [as_asset(asset) for asset in task.assets] if isinstance(task, MaterializingTask) else []


class _Lineage:
    """The assets that the runs of one flow run stand for: those they materialized, or those of what they depend on."""

    def __init__(self) -> None:
        self._of_run: dict[str, dict[str, Asset]] = {}
        self._of_result: dict[int, tuple[Any, dict[str, Asset]]] = {}

    def upstream(self, inputs: dict[str, list[dict[str, Any]]], parameters: Iterable[Any]) -> dict[str, Asset]:
        """Return the assets of the runs in `inputs`, and of the runs that returned one of `parameters` itself."""
        found: dict[str, Asset] = {}
        for name, sources in inputs.items():
            for source in sources if name != "__parents__" else ():
                found.update(self._of_run.get(str(source.get("id")), {}))
        for value in parameters:
            known = self._of_result.get(id(value))
            if known is not None and known[0] is value:
                found.update(known[1])
        return found

    def remember(self, run_id: str, result: Any, assets: dict[str, Asset]) -> None:
        """Note what a run stands for, so that what it returned carries it on."""
        self._of_run[run_id] = assets
        if result is None or isinstance(result, bool):
            return  # there is but one None: it says nothing about where it came from
        if len(self._of_result) >= RESULTS_MAX:
            del self._of_result[next(iter(self._of_result))]
        self._of_result[id(result)] = (result, assets)


_lineages: WeakKeyDictionary[FlowRunContext, _Lineage] = WeakKeyDictionary()


def follow(call: TaskCall, outcome: Outcome) -> None:
    """Note what a task run that has ended did to assets, and emit the events that say so.

    Completed or failed, the run tells of each asset that it materialized and of each that it depends on; found in the cache, of none.
    Within a flow run, what the run depends on is inferred from its inputs. Events that cannot be stored are logged: the run has ended.
    """
    task, record, frame = call.task, call.record, call.frame
    lineage = _lineages.setdefault(frame, _Lineage()) if frame is not None else None
    direct = {asset.key: asset for asset in map(as_asset, task.asset_deps)}
    inherited = lineage.upstream(record.task_inputs, call.parameters.values()) if lineage is not None else {}
    upstream = {**inherited, **direct}
    own = {asset.key: asset for asset in assets_of(task)}
    if lineage is not None and (own or upstream):
        lineage.remember(record.id_text, outcome.value if outcome.kind == "COMPLETED" else None, own or upstream)
    if own and outcome.kind in ("COMPLETED", "FAILED") and outcome.name != "Cached":
        metadata = _metadata.pop(call.context, {}) if call.context is not None else {}
        try:
            _emit(own, upstream, metadata, outcome.kind == "COMPLETED", getattr(task, "materialized_by", None))
        except HeadraceException as error:
            logger.error("What task run %r did to %s could not be told: %s", record.name, ", ".join(own), error)


def _emit(
    own: dict[str, Asset], upstream: dict[str, Asset], metadata: dict[str, dict[str, Any]], succeeded: bool, materialized_by: str | None
) -> None:
    sources = [asset for key, asset in upstream.items() if key not in own]
    for asset in sources:
        emit_event("prefect.asset.referenced", _labels(asset))
    related = [{"prefect.resource.id": asset.key, "prefect.resource.role": "asset"} for asset in sources]
    if materialized_by:
        related.append({"prefect.resource.id": materialized_by, "prefect.resource.role": "asset-materialized-by"})
    for key, asset in own.items():
        ending = "succeeded" if succeeded else "failed"
        emit_event(f"prefect.asset.materialization.{ending}", _labels(asset), related=related, payload=metadata.get(key))


def _labels(asset: Asset) -> dict[str, str]:
    return {"prefect.resource.id": asset.key, **(asset.properties.labels() if asset.properties else {})}
