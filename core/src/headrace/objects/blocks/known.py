"""Which block classes this process knows, by slug: those that were defined here, and those that plugins offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import ref

from headrace.model.errors import PluginNotInstalled, UnknownBlockType, near
from headrace.plugin import Kind

if TYPE_CHECKING:
    from headrace.objects.blocks.block import Block

_defined: dict[str, list[ref[type[Block]]]] = {}


def remember(block_class: type[Block]) -> None:
    """Make a class findable by its slug. The newest class of a slug that is still in use wins, as when a module is loaded again."""
    alive = [one for one in _defined.get(block_class.get_block_type_slug(), ()) if one() is not None]
    _defined[block_class.get_block_type_slug()] = [*alive, ref(block_class)]


def defined_class(slug: str) -> type[Block] | None:
    """Return the class of that slug if its module has been imported."""
    return next((found for one in reversed(_defined.get(slug, ())) if (found := one()) is not None), None)


def class_of(slug: str) -> type[Block]:
    """Return the class of that slug, importing the plugin that offers it if need be.

    Raises UnknownBlockType when nobody has it, naming near slugs or the package to install; and what the registry raises when a
    plugin offers it but is broken or lacks a module.
    """
    found = defined_class(slug)
    if found is not None:
        return found
    from headrace.plugin import get_registry

    try:
        return cast("type[Block]", get_registry().resolve(Kind.BLOCK, slug))
    except PluginNotInstalled as error:
        hint = near(slug, [known for known in _defined if defined_class(known) is not None])
        raise UnknownBlockType(
            f"No class is known for block type {slug!r}. {hint + ' ' if hint else ''}"
            f"Import the module that defines it before loading, or install the plugin that has it. {error}"
        ) from error
