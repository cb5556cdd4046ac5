"""What a plugin's offers look like in its README and in the snapshot of its blocks' schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from headrace.plugin.offers import Kind, PluginRecord

README_START = "<!-- offers: made by `headrace plugins inspect --readme` -->"
README_END = "<!-- end of offers -->"


class HasSchema(Protocol):
    """A block class, as far as its schema goes."""

    def model_json_schema(self) -> dict[str, Any]: ...


def readme_table(record: PluginRecord) -> str:
    """Return the Markdown table of a plugin's offers, without a line break at its end."""
    lines = ["| kind | name | what it is | import |", "| --- | --- | --- | --- |"]
    for kind in Kind:
        for offer in record.offers.get(kind, ()):
            target = offer.target.replace(":", ".")
            needs = f" (extra `{offer.extra}`)" if offer.extra else ""
            lines.append(f"| {kind.words} | `{offer.name}` | {offer.summary}{needs} | `{target}` |")
    return "\n".join(lines)


def block_schemas(classes: Mapping[str, HasSchema]) -> dict[str, dict[str, Any]]:
    """Return slug → JSON schema, in the order of slugs."""
    return {slug: classes[slug].model_json_schema() for slug in sorted(classes)}
