"""Which deployments of a project are meant, and what options of the command line change in them."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from headrace.data.collections import deep_merge
from headrace.deploy.project.shapes import STEP_KEYS, check_head
from headrace.deploy.project.source import FILE_NAMES, Path_, Problem, ProjectInvalid, Source, find_file, read_source
from headrace.model.errors import near

SOURCE_LABEL = "headrace.source"
"""The label of a deployment that names the project whose file it came from."""


@dataclass(frozen=True)
class Options:
    """What the command line says of the deployment it makes. None, or nothing in a list, says nothing. `steps` are those that answers make."""

    entrypoint: str | None = None
    names: tuple[str, ...] = ()
    all: bool = False
    prune: bool = False
    pool: str | None = None
    queue: str | None = None
    description: str | None = None
    version: str | None = None
    version_type: str | None = None
    tags: tuple[str, ...] = ()
    concurrency_limit: int | None = None
    collision_strategy: str | None = None
    job_variables: dict[str, Any] = field(default_factory=dict[str, Any])
    schedules: tuple[dict[str, Any], ...] = ()
    triggers: tuple[dict[str, Any], ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    enforce_parameter_schema: bool | None = None
    steps: dict[str, Any] = field(default_factory=dict[str, Any])

    def overlay(self) -> dict[str, tuple[str, Any]]:
        """Return the keys of a deployment that options set, each with the option's name and the value."""
        limit: Any = self.concurrency_limit
        if self.collision_strategy is not None:
            limit = {"limit": limit, "collision_strategy": self.collision_strategy}
        pool = {"name": self.pool, "work_queue_name": self.queue, "job_variables": self.job_variables or None}
        named = "--pool" if self.pool else "--work-queue" if self.queue else "--job-variable"
        found: dict[str, tuple[str, Any]] = {
            "entrypoint": ("the entrypoint given", self.entrypoint),
            "description": ("--description", self.description),
            "version": ("--version", self.version),
            "version_type": ("--version-type", self.version_type),
            "tags": ("--tag", list(self.tags) or None),
            "concurrency_limit": ("--concurrency-limit", limit),
            "work_pool": (named, {key: value for key, value in pool.items() if value is not None} or None),
            "schedules": ("--cron, --interval, --rrule", list(self.schedules) or None),
            "triggers": ("--trigger", list(self.triggers) or None),
            "parameters": ("--param", self.parameters or None),
            "enforce_parameter_schema": ("--enforce-parameter-schema", self.enforce_parameter_schema),
        }
        found |= {key: ("the answers given", steps) for key, steps in self.steps.items()}
        return {key: pair for key, pair in found.items() if pair[1] is not None}


@dataclass(frozen=True)
class Entry:
    """A deployment as it is written, with the steps that it shares with others, and where it stands. A new one stands in no file."""

    source: Source
    path: Path_
    data: dict[str, Any]
    shared: frozenset[str] = frozenset()
    is_new: bool = False

    @property
    def title(self) -> str:
        """How messages name it."""
        return str(self.data.get("name") or self.data.get("entrypoint") or "without a name")

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the deployment: one that stands in a file is known by the name of its project."""
        project = None if self.is_new else _project_label(self.source)
        return {SOURCE_LABEL: project} if project is not None else {}

    def problem(self, path: Path_, message: str) -> Problem:
        """Say what is wrong with a value of it."""
        if path and path[0] in self.shared:
            return self.source.problem(path, message)
        if self.is_new:
            return replace(self.source, name="the command line", lines={}).problem(path, message)
        return self.source.problem((*self.path, *path), message)


@dataclass(frozen=True)
class Project:
    """A project file that was read, or the lack of one."""

    source: Source
    entries: tuple[Entry, ...]
    file: Path | None

    @property
    def name(self) -> str:
        """The name of the file, as messages give it."""
        return self.source.name

    @property
    def label(self) -> str | None:
        """The project's own name, by which its deployments are known; None without one."""
        return _project_label(self.source)


def _project_label(source: Source) -> str | None:
    name = cast("dict[str, Any]", source.data).get("name")
    return str(name) if name is not None else None


def read_project(file: Path | None, folder: Path) -> Project:
    """Read `file`, else the project file of `folder`, else none. Raises `ProjectInvalid` for one that is missing or wrong as a whole."""
    found = file if file is not None else find_file(folder)
    if found is None:
        return Project(Source("the command line", {}), (), None)
    source = read_source(found, str(file) if file is not None else found.name)
    if problems := check_head(source):
        raise ProjectInvalid(problems)
    head = cast("dict[str, Any]", source.data)
    shared = {key: head[key] for key in STEP_KEYS if head.get(key) is not None}
    entries: list[Entry] = []
    for index, one in enumerate(cast("list[dict[str, Any]]", head.get("deployments") or [])):
        own = {key: value for key, value in one.items() if value is not None}
        inherited = frozenset(key for key in shared if key not in own)
        entries.append(Entry(source, ("deployments", index), {**shared, **own}, inherited))
    return Project(source, tuple(entries), found)


def choose(project: Project, options: Options, warn: Callable[[str], None], flow_names: Callable[[Entry], Iterable[str]]) -> list[Entry]:
    """Return the deployments that are meant, options put in. `flow_names` says by which names of its flow an entry may be called.

    Options change one deployment; where several are meant, they are left out with a warning, except the pool for those that name none.
    Raises `ProjectInvalid` when nothing is meant, or it cannot be told what.
    """
    if options.all and options.names:
        raise ProjectInvalid([Problem("", "", "--all and --name exclude each other. Give one of them.")])
    chosen = _chosen(project, options, flow_names)
    if not chosen:
        return [_new(project, options)]
    if len(chosen) == 1:
        return [_with_options(chosen[0], options)]
    ignored = sorted({pair[0] for key, pair in options.overlay().items() if key != "work_pool"})
    if ignored:
        warn(f"{', '.join(ignored)} would change several deployments, so these options are ignored. Deploy one, or write it into {project.name}.")
    return [_with_pool(one, options) for one in chosen]


def _chosen(project: Project, options: Options, flow_names: Callable[[Entry], Iterable[str]]) -> list[Entry]:
    if options.all:
        named = [one for one in project.entries if one.data.get("name")]
        if not named:
            where = f"{project.name} has no deployments with a name" if project.file else f"there is no {' or '.join(FILE_NAMES)} here"
            raise ProjectInvalid([Problem("", "", f"--all deploys what a project file lists, but {where}.")])
        return named
    if options.names:
        found = [one for one in project.entries if any(_is_meant(one, pattern, flow_names) for pattern in options.names)]
        if found or options.entrypoint:
            return found
        titles = [one.title for one in project.entries]
        raise ProjectInvalid([Problem(project.name, "", _no_match(options.names, titles))])
    if options.entrypoint:
        return []
    if len(project.entries) > 1:
        titles = ", ".join(one.title for one in project.entries)
        message = f"There are several deployments: {titles}. Choose with --name NAME, or take all with --all."
        raise ProjectInvalid([Problem(project.name, "", message)])
    if not project.entries:
        message = "Nothing says what to deploy. Give an entrypoint, as path/to/file.py:flow, with --name and --pool, or write a project file."
        raise ProjectInvalid([Problem("" if project.file is None else project.name, "", message)])
    return list(project.entries)


def _no_match(names: Sequence[str], titles: Sequence[str]) -> str:
    told = " or ".join(repr(name) for name in names)
    hint = near(names[0].rpartition("/")[2], titles) or (f"There are: {', '.join(titles)}." if titles else "It lists none.")
    return f"No deployment is named {told}. {hint} To deploy a new one, give its entrypoint too."


def _is_meant(entry: Entry, pattern: str, flow_names: Callable[[Entry], Iterable[str]]) -> bool:
    flow, slash, name = pattern.rpartition("/")
    if not fnmatch.fnmatchcase(str(entry.data.get("name") or ""), name):
        return False
    return not slash or any(fnmatch.fnmatchcase(one, flow) for one in flow_names(entry))


def _new(project: Project, options: Options) -> Entry:
    """Make a deployment of options alone; of a file it takes the steps."""
    head = cast("dict[str, Any]", project.source.data or {})
    shared = {key: head[key] for key in STEP_KEYS if head.get(key) is not None}
    if len(options.names) > 1:
        raise ProjectInvalid([Problem("", "", "One entrypoint makes one deployment: give one --name.")])
    name = {"name": options.names[0]} if options.names else {}
    entry = Entry(project.source, (), {**shared, **name}, frozenset(shared), is_new=True)
    return _with_options(entry, options)


_INNER = {"name": "--pool", "work_queue_name": "--work-queue", "job_variables": "--job-variable"}


def _with_options(entry: Entry, options: Options) -> Entry:
    data, told = dict(entry.data), dict(entry.source.options)
    for key, (option, value) in options.overlay().items():
        if key in ("work_pool", "parameters"):
            before: Any = data.get(key)
            value = deep_merge(cast("Mapping[str, Any]", before) if isinstance(before, dict) else {}, value)
            for inner in cast("dict[str, Any]", options.overlay()[key][1]):
                told[*entry.path, key, inner] = _INNER.get(inner, option)
        else:
            told[*entry.path, key] = option
        data[key] = value
    if options.schedules:
        data.pop("schedule", None)
    return replace(entry, data=data, source=replace(entry.source, options=told), shared=entry.shared - options.steps.keys())


def _with_pool(entry: Entry, options: Options) -> Entry:
    pool: Any = entry.data.get("work_pool")
    if options.pool is None or (isinstance(pool, dict) and cast("dict[str, Any]", pool).get("name")):
        return entry
    return _with_options(entry, Options(pool=options.pool))
