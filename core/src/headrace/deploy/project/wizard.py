"""Asking for what a deployment lacks, where somebody is there to answer. It fills in the same options as the command line."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

import yaml

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.deploy.project.choice import Entry, Options, Project
from headrace.deploy.project.init import PROJECT_FILE
from headrace.deploy.project.wizard_code import asked_code

FILES_MAX = 500
"""Files that are looked through for flows."""

_SKIPPED = {"node_modules", "site-packages", "__pycache__", "build", "dist"}


class Asker(Protocol):
    """Whoever is there to answer."""

    def choose(self, question: str, choices: Sequence[str]) -> str:
        """Return one of the choices."""
        ...

    def text(self, question: str, default: str | None = None) -> str:
        """Return what is typed."""
        ...

    def yes(self, question: str) -> bool:
        """Return whether the answer is yes."""
        ...

    def secret(self, question: str) -> str:
        """Return what is typed and not shown."""
        ...


def complete(options: Options, project: Project, asker: Asker, folder: Path) -> Options:
    """Return the options with the answers to what is asked, each only when nothing says it: entrypoint, name, pool, image, storage, schedule."""
    if options.all or options.names or project.entries:
        if len(project.entries) > 1 and not (options.all or options.names or options.entrypoint):
            titles = [one.title for one in project.entries]
            return replace(options, names=(asker.choose("Which deployment?", titles),))
        if project.entries and not options.entrypoint:
            return options
    entrypoint = options.entrypoint
    if entrypoint is None:
        found = find_flows(folder)
        entrypoint = asker.choose("Which flow?", found) if found else asker.text("Where is the flow? (path/to/file.py:flow)")
    names = options.names or (asker.text("What shall the deployment be called?", "default"),)
    options = replace(options, entrypoint=entrypoint, names=names, pool=options.pool or _asked_pool(asker))
    options = asked_code(options, project, asker)
    return replace(options, schedules=options.schedules or _asked_schedules(asker))


def _asked_pool(asker: Asker) -> str | None:
    from headrace.model.endpoints.work_pools import CREATE_WORK_POOL, FILTER_WORK_POOLS
    from headrace.model.work_pools import FilterWorkPools, WorkPoolCreate

    client = current_client()
    pools = [pool.name for pool in drive(client.call(FILTER_WORK_POOLS, FilterWorkPools()))]
    if pools:
        return asker.choose("Which work pool shall run it?", pools)
    if not asker.yes("There is no work pool yet. Create one whose workers run flows in processes of their own?"):
        return None
    name = asker.text("What shall the work pool be called?", "local")
    return drive(client.call(CREATE_WORK_POOL, WorkPoolCreate(name=name, type="process"))).name


def _asked_schedules(asker: Asker) -> tuple[dict[str, Any], ...]:
    found: list[dict[str, Any]] = []
    while asker.yes("Add another schedule?" if found else "Shall it run on a schedule?"):
        kind = asker.choose("Which kind?", ("cron", "interval", "rrule"))
        rule = asker.text({"cron": "Cron expression", "interval": "Seconds between runs", "rrule": "Recurrence rule"}[kind])
        found.append({kind: rule, "timezone": asker.text("Time zone", "UTC")})
        if asker.yes("Shall its runs have parameters of their own?"):
            found[-1]["parameters"] = _read(asker.text("Parameters, as a JSON object"))
    return tuple(found)


def _read(text: str) -> Any:
    """Return JSON as what it says, and other text as it is: it is refused with everything else that is wrong."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def find_flows(folder: Path) -> list[str]:
    """Return the entrypoints of the flows in the Python files below `folder`, read from the source alone."""
    found: list[str] = []
    files = (file for file in sorted(folder.rglob("*.py")) if not any(_is_skipped(part) for part in file.relative_to(folder).parts[:-1]))
    for _, file in zip(range(FILES_MAX), files, strict=False):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, OSError, ValueError):
            continue
        functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        found += [f"{file.relative_to(folder).as_posix()}:{node.name}" for node in functions if any(map(_is_flow, node.decorator_list))]
    return found


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED or name.endswith("venv")


def _is_flow(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    return getattr(called, "id", getattr(called, "attr", "")) == "flow"


def save(entry: Entry, project: Project, folder: Path) -> Path:
    """Write a deployment to the end of the project file, whose other lines stay as they are, or to a new file. Return the file.

    Raises `ValueError` when the file has keys after its deployments, where nothing can be added without touching them.
    """
    file = project.file or folder / PROJECT_FILE
    data = {key: value for key, value in entry.data.items() if key not in entry.shared}
    block = yaml.safe_dump([data], sort_keys=False, allow_unicode=True, width=150)
    if not file.exists():
        file.write_text(f"name: {folder.name}\n\ndeployments:\n{block}", encoding="utf-8")
        return file
    text = file.read_text(encoding="utf-8")
    document: Any = yaml.safe_load(text) or {}
    listed = document.get("deployments")
    if not listed:
        if "deployments" in document:
            raise ValueError(f"{file.name} has an empty key deployments. Take it out, or write the deployment there yourself:\n{block}")
        file.write_text(f"{text.rstrip()}\n\ndeployments:\n{block}" if text.strip() else f"deployments:\n{block}", encoding="utf-8")
        return file
    if list(document)[-1] != "deployments":
        raise ValueError(f"{file.name} has keys after its deployments. Move them up, or write the deployment there yourself:\n{block}")
    indent = " " * _indent(text)
    added = "".join(f"{indent}{line}\n" for line in block.splitlines())
    file.write_text(f"{text.rstrip()}\n{added}", encoding="utf-8")
    return file


def _indent(text: str) -> int:
    node = cast("Any", yaml).compose(text, Loader=yaml.SafeLoader)
    return next(value.start_mark.column for key, value in node.value if key.value == "deployments")
