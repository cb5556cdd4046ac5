"""Assets: what workflows produce and consume, named by an address."""

from __future__ import annotations

import json
import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from headrace.model.base import Model

KEY_LENGTH_MAX = 512
DESCRIPTION_LENGTH_MAX = 2500

_SCHEME = re.compile(r"[a-z0-9]+://.+", re.DOTALL)
_FORBIDDEN = frozenset("\n\r\t\0 #?&%\"'<>[]{}|\\^`")


def _checked_key(key: str) -> str:
    if not _SCHEME.fullmatch(key):
        raise ValueError(f"An asset's key is an address with a lower-case scheme, as 's3://bucket/data.csv'; {key!r} is not.")
    wrong = sorted(_FORBIDDEN.intersection(key))
    if wrong:
        raise ValueError(f"An asset's key may not contain {', '.join(map(repr, wrong))}, and {key!r} does.")
    return key


AssetKey = Annotated[str, Field(max_length=KEY_LENGTH_MAX), AfterValidator(_checked_key)]


class AssetProperties(Model):
    """What is known of an asset beside its key. Materializing an asset with properties replaces all those that it had."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    url: str | None = None
    description: str | None = Field(default=None, max_length=DESCRIPTION_LENGTH_MAX)
    owners: list[str] | None = None

    def labels(self) -> dict[str, str]:
        """Return the labels by which events tell the properties; those that are not set are left out."""
        named = {
            "prefect.resource.name": self.name,
            "prefect.asset.description": self.description,
            "prefect.asset.url": self.url,
            "prefect.asset.owners": None if self.owners is None else json.dumps(self.owners),
        }
        return {label: value for label, value in named.items() if value is not None}
