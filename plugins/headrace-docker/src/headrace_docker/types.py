"""Types of fields that are checked."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def assert_volume_str(volume: str) -> str:
    """Return a volume as it was given: `"/on/the/host:/in/the/container"`, or the name of a volume for the first part, and maybe `:ro` behind.

    Raises `ValueError` for a text without `:`.
    """
    if ":" not in volume:
        raise ValueError(f"Invalid volume string: {volume!r}. It is written 'source:target' or 'source:target:ro', as '/data:/data'.")
    return volume


VolumeStr = Annotated[str, AfterValidator(assert_volume_str)]
"""A text that `assert_volume_str` takes."""
