"""dbt's nodes as assets: what they are called, what is told of them, and from which others they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.assets import Asset, AssetProperties
from headrace_dbt.utilities import format_asset_name, format_resource_id

MATERIALIZED = frozenset({"model", "seed", "snapshot"})
"""The resource types that leave something in the warehouse."""

REFERENCED = frozenset({*MATERIALIZED, "source"})

DESCRIPTION_LENGTH_MAX = 2500
"""How long the description of an asset may be."""


def are_enabled(node: Any) -> bool:
    """Say whether a node becomes an asset: not when its config or its meta, which a project may set for all, say `headrace: enable_assets: false`."""
    config = getattr(node, "config", None)
    places = [getattr(node, "meta", None), getattr(config, "meta", None), getattr(config, "_extra", None)]
    for place in places:
        for name in ("headrace", "prefect"):
            own = place.get(name) if isinstance(place, Mapping) else None
            if isinstance(own, Mapping) and "enable_assets" in own:
                return bool(own["enable_assets"])
    return True


def asset_of(node: Any, adapter_type: str, compiled_code: str | None = None) -> Asset:
    """Return the asset that a node of dbt's manifest is. It must have a `relation_name`."""
    owner = (getattr(node, "meta", None) or {}).get("owner")
    return Asset(
        format_resource_id(adapter_type, node.relation_name),
        AssetProperties(
            name=format_asset_name(node.relation_name),
            description=_description(getattr(node, "description", "") or "", compiled_code),
            owners=[owner] if isinstance(owner, str) else None,
        ),
    )


def _description(text: str, compiled_code: str | None) -> str | None:
    if compiled_code:
        whole = f"{text}\n\n### Compiled code\n```sql\n{compiled_code.strip()}\n```".lstrip()
        if len(whole) <= DESCRIPTION_LENGTH_MAX:
            return whole
    if len(text) > DESCRIPTION_LENGTH_MAX:
        return f"{text[: DESCRIPTION_LENGTH_MAX - 3]}..."
    return text or None


def upstream_of(node: Any, manifest: Any) -> Iterator[Any]:
    """Yield the nodes and sources that a node is made from; through ephemeral models, which leave nothing, to what those are made from."""
    seen: set[str] = set()
    waiting = list(reversed(_depends_on(node)))
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = manifest.nodes.get(name) or manifest.sources.get(name)
        if found is None:
            continue
        if getattr(found, "relation_name", None) and str(found.resource_type) in REFERENCED:
            yield found
        elif str(found.resource_type) == "model":
            waiting.extend(reversed(_depends_on(found)))


def _depends_on(node: Any) -> list[str]:
    return list(getattr(node, "depends_on_nodes", None) or ())
