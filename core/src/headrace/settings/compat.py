"""Settings under the names of Prefect, read when `HEADRACE_COMPAT=true`: `PREFECT_*`, `prefect.toml`, `[tool.prefect]`.

They rank below everything that is named for headrace, except profiles and defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace.settings.declaration import Catalogue
from headrace.settings.environment import prefect_variables
from headrace.settings.sources import (
    Layer,
    Raw,
    Source,
    SourceKind,
    folders,
    layer_of,
    nearest,
    nested_layer,
    pyproject_table,
    read_dotenv,
    read_toml,
)

_PREFIX = "PREFECT_"
# Folders and databases stay apart: the two products do not share files or tables.
_LEFT_OUT = ("home", "profiles_path", "results.local_storage_path", "logging.config_path", "server.memo_store_path")
_LEFT_OUT_GROUP = "server.database."


def prefect_layers(catalogue: Catalogue) -> list[Layer]:
    """Return the layers of the environment and of the three files, highest first."""
    searched = list(folders(None))
    layers = [_variables(Source(SourceKind.ENVIRONMENT), prefect_variables(), catalogue)]
    dotenv = nearest(searched, ".env")
    if dotenv:
        layers.append(_variables(Source(SourceKind.DOTENV, str(dotenv)), dict(read_dotenv(dotenv)), catalogue))
    toml = nearest(searched, "prefect.toml")
    if toml:
        layers.append(_nested(Source(SourceKind.TOML, str(toml)), read_toml(toml), catalogue))
    for folder in searched:
        table = pyproject_table(folder / "pyproject.toml", "prefect")
        if table is not None:
            source = Source(SourceKind.PYPROJECT, str(folder / "pyproject.toml"))
            layers.append(_nested(source, table, catalogue))
            break
    return layers


def _variables(source: Source, names: Mapping[str, str], catalogue: Catalogue) -> Layer:
    ours = {"HEADRACE_" + name.removeprefix(_PREFIX): value for name, value in names.items() if name.startswith(_PREFIX) and value}
    layer = layer_of(source, ours, catalogue)
    return _translated(layer, {path: _PREFIX + raw.name.removeprefix("HEADRACE_") for path, raw in layer.values.items()})


def _nested(source: Source, table: Mapping[str, Any], catalogue: Catalogue) -> Layer:
    layer = nested_layer(source, table, catalogue)
    return _translated(layer, {path: raw.name for path, raw in layer.values.items()})


def _translated(layer: Layer, names: Mapping[str, str]) -> Layer:
    """Keep what can be shared, with values put into our words; what has no counterpart here is not a mistake."""
    kept = {
        path: Raw(_value(raw.value), layer.source, names[path])
        for path, raw in layer.values.items()
        if path not in _LEFT_OUT and not path.startswith(_LEFT_OUT_GROUP)
    }
    layer.values, layer.free, layer.unknown, layer.is_translated = kept, {}, [], True
    return layer


def _value(value: object) -> object:
    """Translate references to settings and paths of modules."""
    if not isinstance(value, str):
        return value
    referring = re.sub(r"\$(\{?)PREFECT_", r"$\1HEADRACE_", value)
    return re.sub(r"^prefect(?=(?:_\w+)?\.\w)", "headrace", referring)
