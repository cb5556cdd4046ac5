"""Names to objects and back, and scripts to modules: how users' code is found."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from threading import RLock
from types import CodeType, ModuleType
from typing import Any, NoReturn

from headrace.model import ids
from headrace.model.errors import ScriptError

_path_lock = RLock()  # sys.path is one for all threads


def to_qualified_name(obj: Any) -> str:
    """Return the import path of a class or function, as "package.module.Class.method"."""
    return f"{obj.__module__}.{obj.__qualname__}"


def from_qualified_name(name: str) -> Any:
    """Import the object at an import path such as "random.randint", or the module. Raises `ImportError` or `AttributeError`."""
    from pkgutil import resolve_name

    try:
        return resolve_name(name)
    except ValueError as error:
        raise ImportError(f"{name!r} is not an import path, such as 'package.module.name'.") from error


def import_object(import_path: str) -> Any:
    """Load what an import path names.

    Forms: `module.object`, `module:object`, `/path/to/script.py:object`, each also with `.method` behind. A script is run anew.
    Raises `ScriptError` when a script raises, `ImportError` or `AttributeError` when a name is not found.
    """
    location, colon, name = import_path.rpartition(":")
    if not colon or (os.name == "nt" and len(location) == 1):
        return from_qualified_name(import_path)
    if not location.endswith(".py"):
        return _attribute(load_module(location), name)
    return _attribute(load_script_as_module(location), name)


def _attribute(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


class ScriptLoader(SourceFileLoader):
    """Loads what stands in a file now, as `python FILE` does: kept byte code looks fresh after an edit of equal length in the same second."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def load_script_as_module(path: str) -> ModuleType:
    """Run the script at `path` and return it as a module with a name of its own; its folder is importable meanwhile.

    Raises `ScriptError` with what the script raised as `user_exc`.
    """
    if not path.endswith(".py"):
        raise ScriptError(ImportError(f"{path!r} is not a Python script"), path)
    name = f"__headrace_loader_{ids.random_hex(8)}__"
    folder = os.path.dirname(os.path.abspath(path))
    with _path_lock, _first_on_path(folder, os.getcwd()):
        loader = ScriptLoader(name, path)
        spec = importlib.util.spec_from_file_location(name, path, loader=loader, submodule_search_locations=[folder, os.getcwd()])
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except Exception as error:
            sys.modules.pop(name, None)
            raise ScriptError(user_exc=error, path=path) from error
    return module


def load_module(module_name: str) -> ModuleType:
    """Import a module by name; the working directory is searched first."""
    with _path_lock, _first_on_path(os.getcwd()):
        module = from_qualified_name(f"{module_name}:")
    if not isinstance(module, ModuleType):
        raise ImportError(f"{module_name!r} is not a module.")  # noqa: TRY004  # what importing raises
    return module


@contextmanager
def _first_on_path(*folders: str) -> Generator[None, None, None]:
    before = sys.path[:]
    sys.path[:0] = folders
    try:
        yield
    finally:
        for folder in folders:
            if sys.path.count(folder) > before.count(folder):
                sys.path.remove(folder)


def safe_load_namespace(source_code: str, filepath: str | None = None) -> dict[str, Any]:
    """Run source statement by statement, skipping those that fail, and return the names it defined.

    For reading a flow's signature where its imports are not installed: what cannot be had is left out. The part under
    `if __name__ == "__main__":` is not run.
    """
    import ast

    namespace: dict[str, Any] = {"__name__": "headrace_safe_namespace_loader"}
    folders: list[str] = []
    if filepath is not None:
        namespace["__file__"] = filepath
        folders = [os.path.dirname(os.path.abspath(filepath))]
    with _path_lock, _first_on_path(*folders):
        for statement in ast.parse(source_code).body:
            code = compile(ast.Module([statement], []), filepath or "<source>", "exec", dont_inherit=True)
            try:
                exec(code, namespace)  # noqa: S102  # the user's own source, as importing it would run it
            except Exception:  # noqa: BLE001  # whatever it is, the rest may still be readable
                continue
    return namespace


class DelayedImportErrorModule(ModuleType):
    """Stands for a module that is not installed: importing succeeds, using it raises `ModuleNotFoundError`."""

    def __init__(self, error_message: str, help_message: str | None = None) -> None:
        super().__init__("DelayedImportErrorModule")
        self._message = error_message if help_message is None else f"{error_message}\n{help_message}"

    def __getattr__(self, name: str) -> NoReturn:
        raise ModuleNotFoundError(self._message)


def lazy_import(name: str, error_on_import: bool = False, help_message: str | None = None) -> ModuleType:
    """Return a module that is really imported when something in it is first used.

    A module that is not installed raises `ModuleNotFoundError` at first use, or here with `error_on_import`; `help_message` is
    added to the error, to say what to install.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        message = f"No module named {name!r}."
        if error_on_import:
            raise ModuleNotFoundError(message if help_message is None else f"{message}\n{help_message}")
        return DelayedImportErrorModule(message, help_message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader = importlib.util.LazyLoader(spec.loader)
    loader.exec_module(module)
    return module
