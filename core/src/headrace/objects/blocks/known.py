"""Which block classes this process knows, by slug: those that were defined here, and those that plugins offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

from headrace.model.errors import PluginNotInstalled, UnknownBlockType, near
from headrace.plugin import Kind

if TYPE_CHECKING:
    from headrace.objects.blocks.block import Block

_defined: WeakValueDictionary[str, type[Block]] = WeakValueDictionary()


def remember(block_class: type[Block]) -> None:
    """Make a class findable by its slug. The last class of a slug wins, as when a module is loaded again."""
    _defined[block_class.get_block_type_slug()] = block_class


def defined_class(slug: str) -> type[Block] | None:
    """Return the class of that slug if its module has been imported."""
    return _defined.get(slug)


def class_of(slug: str) -> type[Block]:
    """Return the class of that slug, importing the plugin that offers it if need be.

    Raises UnknownBlockType when nobody has it, naming near slugs or the package to install; and what the registry raises when a
    plugin offers it but is broken or lacks a module.
    """
    found = _defined.get(slug)
    if found is not None:
        return found
    from headrace.plugin import get_registry

    try:
        return cast("type[Block]", get_registry().resolve(Kind.BLOCK, slug))
    except PluginNotInstalled as error:
        hint = near(slug, _defined)
        raise UnknownBlockType(
            f"No class is known for block type {slug!r}. {hint + ' ' if hint else ''}"
            f"Import the module that defines it before loading, or install the plugin that has it. {error}"
        ) from error
