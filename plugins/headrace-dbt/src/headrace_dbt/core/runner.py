"""Runner for dbt commands: dbt in this process, with a task run for each node."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.context import FlowRunContext, TaskRunContext
from headrace.logging import get_run_logger
from headrace.logging.loggers import get_logger
from headrace.settings import get_current_settings
from headrace.utilities.asyncutils import offload
from headrace_dbt.core import assets
from headrace_dbt.core.events import LEVELS, node_info_of, plain, text_of
from headrace_dbt.core.invocation import invoke, told, turn
from headrace_dbt.core.settings import HeadraceDbtSettings
from headrace_dbt.core.tracker import FAILURES, NodeTaskTracker, execute_dbt_node, node_task
from headrace_dbt.sdk import EventLevel
from headrace_dbt.utilities import command_of, kwargs_to_args, long_options, options_of

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.graph.graph import Graph
    from dbt_common.events.base_types import EventMsg

__all__ = ["HeadraceDbtRunner", "execute_dbt_node"]

MATERIALIZING = frozenset({"build", "run", "seed", "snapshot", "retry"})
"""The commands whose nodes leave something in the warehouse."""

NO_WORK = frozenset({"NodeStart", "NodeFinished", "SkippingDetails", "LogSkipBecauseError", "MarkSkippedChildren"})
"""The events of a node that dbt may send for one that it skips."""


DECLARED = frozenset({"exposure", "saved_query"})
"""The resource types that stand in the graph and are not executed."""

HOOK_ENDED = "LogHookEndLine"
"""The event at the end of a hook of the project, as on-run-start, which does not send `NodeFinished`."""


class HeadraceDbtRunner:
    """Runs dbt commands as `dbtRunner` does. In a flow or a task, each node that dbt executes becomes a task run.

    `manifest`: a parsed manifest, which saves dbt from parsing; it must have been parsed for the same target. `settings`: where dbt's files are,
    and how much is logged. `raise_on_failure`: raise when a node fails, else return the result. `client`: accepted, and not needed.
    `include_compiled_code`: add a model's SQL to the description of its asset. `disable_assets`: make no assets, whatever the project says.
    `_force_nodes_as_tasks`: make task runs outside of flows and tasks, too.

    Example:
        ```python
        from headrace import flow
        from headrace_dbt import HeadraceDbtRunner

        @flow
        def run_dbt():
            HeadraceDbtRunner().invoke(["build"])
        ```
    """

    def __init__(
        self,
        manifest: Manifest | None = None,
        settings: HeadraceDbtSettings | None = None,
        raise_on_failure: bool = True,
        client: Any = None,
        include_compiled_code: bool = False,
        disable_assets: bool = False,
        _force_nodes_as_tasks: bool = False,
    ) -> None:
        self.settings = settings or HeadraceDbtSettings()
        self.raise_on_failure = raise_on_failure
        self.client = client
        self.include_compiled_code = include_compiled_code
        self.disable_assets = disable_assets
        self._force_nodes_as_tasks = _force_nodes_as_tasks
        self._given_manifest = manifest
        self._read_manifest: Manifest | None = None

    # --- what dbt works on ------------------------------------------------------------------------------------------

    @property
    def target_path(self) -> Path:
        """Where dbt writes artifacts, relative to the project unless it is absolute."""
        return self.settings.target_path

    @property
    def profiles_dir(self) -> Path:
        """The directory of profiles.yml."""
        return self.settings.profiles_dir

    @property
    def project_dir(self) -> Path:
        """The directory of dbt_project.yml."""
        return self.settings.project_dir

    @property
    def log_level(self) -> EventLevel:
        """The least severe level of dbt's events that is logged."""
        return self.settings.log_level

    @property
    def manifest(self) -> Manifest:
        """The manifest: the one given, or that of the last invocation, or the one that dbt wrote last.

        Raises `ValueError` when the project has not been parsed yet.
        """
        found = self._given_manifest or self._read_manifest
        if found is None:
            found = self._read_manifest = _manifest_at(self.project_dir / self.target_path / "manifest.json")
        return found

    @property
    def graph(self) -> Graph:
        """The graph of the manifest's nodes."""
        from dbt.compilation import Linker
        from dbt.graph.graph import Graph

        linker = Linker()
        linker.link_graph(self.manifest)
        return Graph(linker.graph)

    @property
    def project_name(self) -> str:
        """The project's name, as the manifest has it."""
        return self.manifest.metadata.project_name or ""

    @staticmethod
    def get_dbt_event_msg(event: EventMsg) -> str:
        """Return the text of one of dbt's events."""
        return text_of(event)

    # --- running ----------------------------------------------------------------------------------------------------

    def invoke(self, args: list[str], **kwargs: Any) -> Any:
        """Run a dbt command and return dbt's result. `args` and `kwargs` are those of `dbtRunner.invoke`.

        What `args` say wins over `kwargs`, these over the settings, and these over dbt's defaults. Placeholders of blocks and variables in
        profiles.yml are resolved. One process runs one command at a time: another thread's waits.

        Raises `ValueError` when dbt cannot run the command, when `retry` finds no earlier results, and, with `raise_on_failure`, when nodes
        failed; the message lists each of them.
        """
        args = [str(word) for word in args]
        command = command_of(args)
        result = self._result_of(command, args, kwargs)
        failure = self._failure_in(command, result)
        if failure is not None:
            raise failure
        return result

    async def ainvoke(self, args: list[str], **kwargs: Any) -> Any:
        """Do what `invoke` does in a thread, so that the event loop goes on meanwhile."""

        def run() -> Any:
            return self.invoke(args, **kwargs)

        return await offload(run)

    def _result_of(self, command: str, args: Sequence[str], kwargs: dict[str, Any]) -> Any:
        given = long_options(args)
        words = {name: value for name, value in kwargs.items() if f"--{name.replace('_', '-')}" not in given}
        settings = _with_given(self.settings, args, words)
        if command == "retry":
            _check_retry(settings, args, words)
        with turn(self._logger()), _profiles(settings) as profiles_dir:
            places = {"profiles_dir": profiles_dir, "project_dir": str(settings.project_dir), "target_path": str(settings.target_path)}
            taken = options_of(command)  # not all: `dbt deps` has no target
            words.update({name: place for name, place in places.items() if name in taken})
            rest = _without(args, "--profiles-dir", "--project-dir", "--target-path", "--log-level")
            watch = self._watch(command, settings)
            if "log_level" in taken:
                words["log_level"] = "none" if watch is not None else settings.log_level.value
            try:
                return invoke(kwargs_to_args(words, rest), [watch.hear] if watch is not None else [], self._given_manifest)
            finally:
                if watch is not None:
                    watch.close()
                    self._read_manifest = watch.manifest or self._read_manifest

    def _logger(self) -> Any:
        return get_run_logger() if _is_in_run() else get_logger("dbt")

    def _watch(self, command: str, settings: HeadraceDbtSettings) -> _Watch | None:
        if not _is_in_run() and not self._force_nodes_as_tasks:
            return None
        makes_assets = command in MATERIALIZING and not self.disable_assets
        return _Watch(self._logger(), settings, makes_assets, self.include_compiled_code, self._given_manifest)

    def _failure_in(self, command: str, result: Any) -> ValueError | None:
        if result.exception is not None:
            failure = ValueError(f"Failed to invoke dbt command '{command}': {told(result.exception)}")
            failure.__cause__ = result.exception
            return failure
        if result.success or not self.raise_on_failure:
            return None
        failures = [one for one in getattr(result.result, "results", None) or () if str(one.status) in FAILURES]
        if not failures:
            return ValueError(f"The dbt command '{command}' did not succeed; its output says why.")
        listed = "\n".join(_told(one) for one in failures)
        return ValueError(f"Failures detected during invocation of dbt command '{command}':\n{listed}")


_SAID = {"fail": "failed", "error": "errored", "runtime error": "errored", "partial success": "succeeded in part"}


def _told(result: Any) -> str:
    node = result.node
    return f'{str(node.resource_type).capitalize()} {node.name} {_SAID[str(result.status)]} with message: "{result.message}"'


class _Watch:
    """Hears dbt's events during one invocation: logs them, begins and ends task runs."""

    def __init__(self, logger: Any, settings: HeadraceDbtSettings, makes_assets: bool, include_compiled_code: bool, manifest: Any) -> None:
        self.manifest: Any = manifest
        self._logger = logger
        self._settings = settings
        self._makes_assets = makes_assets
        self._include_compiled_code = include_compiled_code
        self._threshold = max(LEVELS[settings.log_level.value], _headrace_level())
        self._context = copy_context()
        self._tracker = NodeTaskTracker()
        self._dbt: dict[str, Any] = {}
        self._is_closed = False

    def hear(self, event: EventMsg) -> None:
        """Take one event, in whichever of dbt's threads it happens. Never raises: dbt's own work goes on by its own rules."""
        try:
            if not self._is_closed:  # threads of an interrupted command may go on for a while
                self._hear(event)
        except Exception:  # the border to dbt, which would take our failure for its own
            self._logger.exception("An event of dbt could not be followed: %s", event.info.name)

    def _hear(self, event: EventMsg) -> None:
        if not self._dbt:
            self._dbt = _state_of_dbt()
        name = event.info.name
        info = node_info_of(event)
        node_id: str | None = info.unique_id if info is not None else None
        if node_id is not None and name not in NO_WORK and not self._tracker.is_started(node_id) and not self._tracker.is_node_complete(node_id):
            self._start(node_id, info)
        level = LEVELS.get(event.info.level, 20)
        if level >= self._threshold:
            text = text_of(event)
            if text.strip():
                logger = self._tracker.get_task_logger(node_id) if node_id is not None else None
                self._context.copy().run((logger or self._logger).log, level, "%s", text)  # dbt's threads know of no run
        if name == "NodeFinished" and node_id is not None:
            self._finish(node_id, info, event)
        elif name == HOOK_ENDED and node_id is not None:
            self._tracker.set_node_status(node_id, {"node_info": plain(info)}, text_of(event))

    def _finish(self, node_id: str, info: Any, event: Any) -> None:
        result = event.data.run_result
        if not self._tracker.is_started(node_id):
            if result.status == "skipped":
                return
            self._start(node_id, info)
        told = {**plain(info), "node_status": result.status}  # what dbt says of the node itself may be older
        self._tracker.set_node_status(node_id, {"node_info": told}, result.message)

    def _start(self, node_id: str, info: Any) -> None:
        if info.materialized == "ephemeral" or info.resource_type in DECLARED or info.node_status in ("None", "skipped"):
            return  # compiled on the way into others, or not to be run
        node = self._node(node_id)
        asset, upstream = self._asset_of(node) if node is not None else (None, [])
        run_name = f"{info.resource_type} {info.node_name}"
        described = (lambda: assets.asset_of(node, self._adapter_type, self._compiled_code(node))) if asset and self._include_compiled_code else None
        task = node_task(self._tracker, node_id, run_name, asset, described)
        task.asset_deps = upstream
        self._tracker.start_task(node_id, task, self._context.copy(), self._runs_before(node))

    def _runs_before(self, node: Any) -> list[str]:
        """Return the nodes with a task run that a node depends on; where one has none, as an ephemeral model, those that it depends on."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = list(getattr(node, "depends_on_nodes", None) or ())
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if self._tracker.get_task_run_id(name) is not None:
                found[name] = None
            elif name in self.manifest.nodes:
                waiting += getattr(self.manifest.nodes[name], "depends_on_nodes", None) or ()
        return list(found)

    def _node(self, node_id: str) -> Any:
        if self.manifest is None:
            self.manifest = self._dbt.get("manifest")
        if self.manifest is None:
            with contextlib.suppress(ValueError):
                self.manifest = _manifest_at(self._settings.project_dir / self._settings.target_path / "manifest.json")
        return self.manifest.nodes.get(node_id) if self.manifest is not None else None

    @property
    def _adapter_type(self) -> str:
        return self.manifest.metadata.adapter_type or "dbt"

    def _asset_of(self, node: Any) -> tuple[Any, list[Any]]:
        if not self._makes_assets or str(node.resource_type) not in assets.MATERIALIZED or not getattr(node, "relation_name", None):
            return None, []
        if not assets.are_enabled(node):
            return None, []
        upstream = [assets.asset_of(one, self._adapter_type) for one in assets.upstream_of(node, self.manifest) if assets.are_enabled(one)]
        return assets.asset_of(node, self._adapter_type), upstream

    def _compiled_code(self, node: Any) -> str | None:
        found = getattr(node, "compiled_code", None)
        if found:
            return found
        folder = self._settings.project_dir / self._settings.target_path / "compiled" / node.package_name
        with contextlib.suppress(OSError):
            return (folder / node.original_file_path).read_text(encoding="utf-8")
        return None

    def close(self) -> None:
        """End what dbt has left open, and let go of what it keeps."""
        self._is_closed = True
        self._tracker.end_all()
        self._dbt = {}


def _is_in_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _headrace_level() -> int:
    import logging

    return logging.getLevelNamesMapping().get(get_current_settings().logging.level.upper(), logging.INFO)


def _state_of_dbt() -> dict[str, Any]:
    """Return what dbt keeps of the invocation that runs in this thread; the manifest is put there when it is parsed."""
    import click

    context = click.get_current_context(silent=True)
    return context.find_root().obj or {} if context is not None else {}


def _manifest_at(file: Path) -> Manifest:
    import json

    from dbt.contracts.graph.manifest import Manifest

    try:
        return Manifest.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(f"There is no manifest at {file}. Run `dbt parse` or any other command in the project first.") from None


def _value_of(option: str, args: Sequence[str]) -> str | None:
    for number, word in enumerate(args):
        if word == option and number + 1 < len(args):
            return args[number + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def _without(args: Sequence[str], *options: str) -> list[str]:
    """Return `args` without options that take one value."""
    kept: list[str] = []
    skip = False
    for word in args:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif word.partition("=")[0] not in options:
            kept.append(word)
    return kept


def _with_given(settings: HeadraceDbtSettings, args: Sequence[str], words: dict[str, Any]) -> HeadraceDbtSettings:
    """Return the settings as the arguments change them, and take those keywords out of `words`."""
    values = {name: getattr(settings, name) for name in ("profiles_dir", "project_dir", "target_path", "log_level")}
    for name in values:
        given = _value_of(f"--{name.replace('_', '-')}", args) or words.pop(name, None)
        if given is not None:
            values[name] = given
    return HeadraceDbtSettings(**values)


@contextlib.contextmanager
def _profiles(settings: HeadraceDbtSettings) -> Generator[str, None, None]:
    if settings.has_placeholders:
        with settings.resolve_profiles_yml() as folder:
            yield folder
    else:
        yield os.fspath(settings.profiles_dir.expanduser())


def _check_retry(settings: HeadraceDbtSettings, args: Sequence[str], words: dict[str, Any]) -> None:
    state = _value_of("--state", args) or words.get("state") or settings.target_path
    file = settings.project_dir / state / "run_results.json"
    if not file.is_file():
        raise ValueError(f"Cannot retry: there are no previous results at {file}. Run the command that is to be retried first.")
