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
from headrace.deploy.bundles.files import archive_files, unpack_files
from headrace.deploy.flow_process import run_flow_in_subprocess
from headrace.model.errors import SerializationError
from headrace.model.flow_runs import FlowRun

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from types import ModuleType

    from headrace.engine.flow import Flow


class SerializedBundle(TypedDict):
    """A bundle as JSON.

    `function` and `context` are pickles, gzipped, as base64. `files_key` is what the archive of its files is kept under, None without files.
    `python` and `headrace` are the versions it was made with.
    """

    function: str
    context: str
    flow_run: dict[str, Any]
    dependencies: str
    files_key: str | None
    python: str
    headrace: str


class BundleCreationResult(TypedDict):
    """A bundle, and the archive of the files that go with it, alone in a temporary folder that the caller removes: None without such files."""

    bundle: SerializedBundle
    zip_path: Path | None


def create_bundle_for_flow_run(
    flow: Flow[..., Any], flow_run: FlowRun, context: dict[str, Any] | None = None, include_files: Sequence[str] = ()
) -> BundleCreationResult:
    """Pack a flow, its local modules included, for a run.

    Modules beside the flow's file travel by value; installed packages are named in `dependencies`, for the other side to install. `include_files`:
    paths and patterns of other files beside the flow's, see `headrace.deploy.bundles.files.collect_files`. Raises `SerializationError` when
    something of it cannot be pickled, `PathValidationError` for files that are not there or lie elsewhere.
    """
    with pickling.by_value(_local_modules(flow)):
        bundle = SerializedBundle(
            function=_packed(flow, f"The flow {flow.name!r}"),
            context=_packed(context or {}, "The context of the flow run"),
            flow_run=flow_run.model_dump(mode="json"),
            dependencies="\n".join(_installed()),
            files_key=None,  # until all else is known to be fit
            python=_python(),
            headrace=version("headrace"),
        )
    packed = archive_files(flow, include_files)
    zip_path, bundle["files_key"] = packed or (None, None)
    return BundleCreationResult(bundle=bundle, zip_path=zip_path)


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


def execute_bundle_from_file(key: str, files: Path | None = None) -> None:
    """Run the bundle that a file holds, here, to its end. Its run's state says what became of it.

    `files`: the archive that the bundle's `files_key` stands for; its files are put into the working directory first.
    """
    from inspect import isawaitable

    from headrace.engine.direct import load_flow_run, run_flow
    from headrace.model.errors import Abort, Pause

    bundle: SerializedBundle = json.loads(Path(key).read_text(encoding="utf-8"))
    flow = extract_flow_from_bundle(bundle)
    if files is not None:
        unpack_files(files, Path.cwd())
    try:
        state = run_flow(flow, flow_run=load_flow_run(FlowRun.model_validate(bundle["flow_run"]).id), return_type="state")
        if isawaitable(state):
            asyncio.run(_awaited(state))
    except (Abort, Pause):
        return


async def upload_bundle_to_storage(bundle: SerializedBundle, key: str, upload_command: Sequence[str]) -> None:
    """Hand a bundle to a command that keeps it under `key`: the command's last argument is the file. Raises `RuntimeError` when it fails."""
    with tempfile.TemporaryDirectory(prefix="headrace-bundle-") as folder:
        file = Path(folder) / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(bundle), encoding="utf-8")
        await upload_file(file, upload_command)


async def upload_file(file: Path, upload_command: Sequence[str]) -> None:
    """Hand a file to a command that keeps it: its name is the command's last argument. Raises `RuntimeError` when the command fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *upload_command, file.name, cwd=file.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except FileNotFoundError:
        raise RuntimeError(
            f"The bundle could not be kept: there is no program {upload_command[0]!r} here. Install it, or choose another with `launcher`."
        ) from None
    output, _ = await process.communicate()
    if process.returncode:
        said = output.decode("utf-8", "replace").strip()[-1000:]
        raise RuntimeError(f"The bundle could not be kept: the command {upload_command[0]!r} ended with {process.returncode}. It said: {said}")


def convert_step_to_command(step: dict[str, Any], key: str, launcher: Sequence[str] | None = None) -> list[str]:
    """Return the command that a storage step stands for: `{"package.module": {"bucket": "b"}}` runs that module with `--bucket b --key KEY`.

    `launcher` is what starts Python; by default the step's own `launcher`, else `uv run` with the packages that the step's `requires` names, or
    `python` when it needs none.
    """
    if len(step) != 1:
        raise ValueError(f"A bundle step names one module, and this one names {len(step)}: {', '.join(step) or 'none'}.")
    ((module, inputs),) = step.items()
    given: dict[str, Any] = dict(inputs)
    requires: Any = given.pop("requires", None)
    configured: list[str] | None = given.pop("launcher", None)
    launcher = launcher or configured
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
