"""The block classes that a module or a file defines."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import ModuleType

from headrace.model.errors import ScriptError
from headrace.objects.blocks.block import Block
from headrace.objects.blocks.schema import is_saveable


def blocks_in_module(name: str) -> list[type[Block]]:
    """Import a module and return the block classes in it, sorted by slug. Raises ValueError when it cannot be imported."""
    import pkgutil

    try:
        module = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"Unable to load {name}: {error}. Install the module, or run this in the directory that has it.") from error
    if not isinstance(module, ModuleType):
        raise ValueError(f"{name} is a {type(module).__name__}, not a module.")  # noqa: TRY004
    return _blocks_in(module)


def blocks_in_file(path: str | Path) -> list[type[Block]]:
    """Run a .py file as a module and return the block classes in it, sorted by slug.

    Raises ValueError when it is not a .py file, ScriptError when it fails.
    """
    from importlib.util import module_from_spec, spec_from_file_location

    file = Path(path)
    if file.suffix != ".py":
        raise ValueError(f"{file} is not a .py file. Please specify a .py file that contains the block types to register.")
    if not file.is_file():
        raise ValueError(f"There is no file {file}.")
    name = file.stem if file.stem not in sys.modules else f"__headrace_blocks_{file.stem}"
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)  # where annotations are looked up when the schema is made
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ScriptError(error, str(file)) from error
    return _blocks_in(module)


def _blocks_in(module: ModuleType) -> list[type[Block]]:
    values = list(vars(module).values())
    for name in set(getattr(module, "__all__", ())) - vars(module).keys():  # a package may import its names when they are asked for
        with contextlib.suppress(ImportError, AttributeError):  # as of an extra that is not installed
            values.append(getattr(module, name))
    found = {one for one in values if Block.is_block_class(one) and is_saveable(one)}
    own = {one for one in found if not one.__pydantic_generic_metadata__["origin"]}
    return sorted(own, key=lambda one: one.get_block_type_slug())
