"""Bundles: a flow with its code and its run, packed to be run where neither is installed. Made, kept, unpacked and run."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import sysconfig
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import chdir
from importlib.metadata import distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from headrace.data import pickling
from headrace.deploy.flow_process import run_flow_in_subprocess
from headrace.model.errors import SerializationError
from headrace.model.flow_runs import FlowRun

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from types import ModuleType

    from headrace.engine.flow import Flow


class SerializedBundle(TypedDict):
    """A bundle as JSON. `function` and `context` are pickles, gzipped, as base64; `python` and `headrace` are the versions it was made with."""

    function: str
    context: str
    flow_run: dict[str, Any]
    dependencies: str
    files_key: str | None
    python: str
    headrace: str


class BundleCreationResult(TypedDict):
    """A bundle, and the archive of files that goes with it: None without such files."""

    bundle: SerializedBundle
    zip_path: Path | None


def create_bundle_for_flow_run(flow: Flow[..., Any], flow_run: FlowRun, context: dict[str, Any] | None = None) -> BundleCreationResult:
    """Pack a flow, its local modules included, for a run. Raises `SerializationError` when something of it cannot be pickled.

    Modules beside the flow's file travel by value; installed packages are named in `dependencies`, for the other side to install.
    """
    with pickling.by_value(_local_modules(flow)):
        bundle = SerializedBundle(
            function=_packed(flow, f"The flow {flow.name!r}"),
            context=_packed(context or {}, "The context of the flow run"),
            flow_run=flow_run.model_dump(mode="json"),
            dependencies="\n".join(_installed()),
            files_key=None,
            python=_python(),
            headrace=version("headrace"),
        )
    return BundleCreationResult(bundle=bundle, zip_path=None)


def extract_flow_from_bundle(bundle: SerializedBundle) -> Flow[..., Any]:
    """Return the flow of a bundle. To read a bundle is to run what it says. Raises `SerializationError` on another version of Python."""
    made_with = bundle.get("python", _python())
    if made_with != _python():
        raise SerializationError(
            f"The bundle was made with Python {made_with} and cannot be read with Python {_python()}. Use the same version on both sides."
        )
    return cast("Flow[..., Any]", _unpacked(bundle["function"]))


def execute_bundle_in_subprocess(bundle: SerializedBundle, env: Mapping[str, str] | None = None, cwd: Path | str | None = None) -> SpawnProcess:
    """Run a bundle in a process of its own and return that; `process.join()` waits. `env`: more variables for it; `cwd`: the folder it works in."""
    flow = extract_flow_from_bundle(bundle)
    run = FlowRun.model_validate(bundle["flow_run"])
    with chdir(cwd or "."), pickling.by_value(_local_modules(flow)):
        return run_flow_in_subprocess(flow, run, env=env, context=_unpacked(bundle["context"]))


def execute_bundle_from_file(key: str) -> None:
    """Run the bundle that a file holds, here, to its end. Its run's state says what became of it."""
    from inspect import isawaitable

    from headrace.engine.direct import load_flow_run, run_flow
    from headrace.model.errors import Abort, Pause

    bundle: SerializedBundle = json.loads(Path(key).read_text(encoding="utf-8"))
    flow = extract_flow_from_bundle(bundle)
    try:
        state = run_flow(flow, flow_run=load_flow_run(FlowRun.model_validate(bundle["flow_run"]).id), return_type="state")
        if isawaitable(state):
            asyncio.run(_awaited(state))
    except (Abort, Pause):
        return


async def upload_bundle_to_storage(bundle: SerializedBundle, key: str, upload_command: Sequence[str]) -> None:
    """Hand a bundle to a command that keeps it under `key`: the command's last argument is the file. Raises `RuntimeError` when it fails."""
    with tempfile.TemporaryDirectory(prefix="headrace-bundle-") as folder:
        (Path(folder) / key).write_text(json.dumps(bundle), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *upload_command, key, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        if process.returncode:
            said = output.decode("utf-8", "replace").strip()[-1000:]
            raise RuntimeError(f"The bundle could not be kept: the command {upload_command[0]!r} ended with {process.returncode}. It said: {said}")


def convert_step_to_command(step: dict[str, Any], key: str, launcher: Sequence[str] | None = None) -> list[str]:
    """Return the command that a storage step stands for: `{"package.module": {"bucket": "b"}}` runs that module with `--bucket b --key KEY`.

    `launcher` is what starts Python; by default `uv run` with the packages that the step's `requires` names, or `python` when it needs none.
    """
    if len(step) != 1:
        raise ValueError(f"A bundle step names one module, and this one names {len(step)}: {', '.join(step) or 'none'}.")
    ((module, inputs),) = step.items()
    given: dict[str, Any] = dict(inputs)
    requires: Any = given.pop("requires", None)
    if launcher is None:
        packages = [requires] if isinstance(requires, str) else cast("list[str]", list(requires or ()))
        launcher = ["uv", "run", *(part for package in packages for part in ("--with", package)), "python"] if packages else ["python"]
    arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return [*launcher, "-m", module, *arguments, "--key", key]


async def _awaited(value: Any) -> Any:
    return await value


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _packed(value: Any, what: str) -> str:
    try:
        return b64encode(gzip.compress(pickling.dumps(value), mtime=0)).decode()
    except Exception as error:
        raise SerializationError(f"{what} cannot be packed: {type(error).__name__}: {error}. Make it of values that can be pickled.") from error


def _unpacked(text: str) -> Any:
    return pickling.loads(gzip.decompress(b64decode(text)))


def _installed() -> list[str]:
    """Return what is installed from an index, as pip writes it. What was installed from a folder cannot be installed elsewhere."""
    found: set[str] = set()
    for one in distributions():
        if one.read_text("direct_url.json") is None and one.metadata["Name"]:
            found.add(f"{one.metadata['Name']}=={one.version}")
    return sorted(found, key=str.lower)


def _local_modules(flow: Flow[..., Any]) -> list[ModuleType]:
    home = sys.modules.get(flow.fn.__module__)
    file = getattr(home, "__file__", None)
    if home is None or file is None:
        return []
    folder = Path(file).resolve().parent
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    if any(folder.is_relative_to(one) for one in installed):
        return []
    found: list[ModuleType] = []
    for module in list(sys.modules.values()):
        place = getattr(module, "__file__", None)
        if isinstance(place, str) and module.__name__ != "__main__":
            path = Path(place).resolve()
            if path.is_relative_to(folder) and not any(path.is_relative_to(one) for one in installed):
                found.append(module)
    return found
