"""Values that a caller gave."""

from __future__ import annotations

from typing import Any


def given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None: what is not given is left as it is, or gets its default."""
    return {name: value for name, value in values.items() if value is not None}
