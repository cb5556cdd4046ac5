"""What dbt's events say: their level as Python has it, their text, and the node that they belong to."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from dbt_common.events.base_types import EventMsg

LEVELS = {"debug": logging.DEBUG, "test": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR, "none": 100}

_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def text_of(event: EventMsg) -> str:
    """Return an event's text without colors and without blanks at its end."""
    text = str(cast("Any", event).info.msg).rstrip()
    return _COLORS.sub("", text) if "\x1b" in text else text


def node_info_of(event: EventMsg) -> Any:
    """Return what an event says of its node, as the message that it is; None if it belongs to none."""
    info = getattr(cast("Any", event).data, "node_info", None)
    return info if info is not None and info.unique_id else None


def plain(message: Any) -> dict[str, Any]:
    """Return what an event says of a node as plain values."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True)
