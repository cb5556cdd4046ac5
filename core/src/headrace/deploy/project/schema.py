"""The JSON schema of project files, printed from their shapes, for editors that complete and check them."""

from __future__ import annotations

from typing import Any, cast

from headrace.deploy.project.shapes import DeploymentSpec, ProjectHead, ScheduleSpec, WorkPoolSpec

SCHEMA_FILE = ".headrace.schema.json"
"""Where `headrace init` writes it, beside the project file that names it in its first line."""

EDITOR_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
"""What tells editors which schema a file has. Source: yaml-language-server, README, "Using inlined schema"."""


_ABOUT: dict[type[Any], dict[str, str]] = {
    ProjectHead: {
        "name": "The name of the project, by which `headrace deploy --prune` knows its deployments.",
        "build": "Steps that make something when a deployment is made, such as an image.",
        "push": "Steps that bring the code where runs will find it.",
        "pull": "Steps that each run takes first, to have the code.",
        "deployments": "The deployments of this project.",
    },
    DeploymentSpec: {
        "name": "Its name, unique for the flow.",
        "entrypoint": "The flow: path/to/file.py:flow or package.module.flow.",
        "flow_name": "Checked against the name of the flow.",
        "description": "What it is for; by default the flow's docstring.",
        "version": "By default that of the commit, else of the flow.",
        "version_type": "Where a commit is looked for.",
        "tags": "Tags of the deployment and its runs.",
        "parameters": "Parameters of runs that are given no others.",
        "enforce_parameter_schema": "Refuse parameters that do not fit the flow's annotations.",
        "schedule": "Its only schedule; an older form of schedules.",
        "schedules": "When runs begin. Absent: those on the server stay; []: none.",
        "paused": "Its schedules make no runs.",
        "concurrency_limit": "How many of its runs may be under way at once.",
        "work_pool": "The work pool whose workers run it.",
        "triggers": "Events that start a run.",
        "build": "In the place of the project's build steps; [] for none.",
        "push": "In the place of the project's push steps; [] for none.",
        "pull": "In the place of the project's pull steps; [] for none.",
    },
    ScheduleSpec: {
        "cron": "A cron expression, as 0 4 * * *.",
        "interval": "Seconds, HH:MM:SS or ISO 8601.",
        "rrule": "An iCalendar recurrence rule.",
        "timezone": "As Europe/Berlin; by default UTC.",
        "anchor_date": "Intervals are counted from this time.",
        "day_or": "Days of the month or of the week (true), or only days that are both.",
        "slug": "A name by which the schedule is known when it is deployed again.",
        "replaces": "The slug of the schedule that this one takes the place of.",
    },
    WorkPoolSpec: {
        "name": "The pool, which must be there.",
        "type": "The type that the pool must have.",
        "work_queue_name": "A queue of the pool; it is created when it is missing.",
        "job_variables": "Values for the pool's base job template.",
    },
}


class _ProjectFile(ProjectHead):
    """A project file. Other keys hold anchors, or whatever their author likes."""

    deployments: list[DeploymentSpec] | None = None


def project_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of project files. Any value of a deployment may be null, or text with placeholders."""
    schema = _widened(_ProjectFile.model_json_schema())
    shapes: dict[str, Any] = schema["$defs"]
    for shape, about in _ABOUT.items():
        place = schema if shape is ProjectHead else shapes[shape.__name__]
        for name, text in about.items():
            place["properties"][name] = {"description": text, "anyOf": [place["properties"][name], _OPEN]}
    del shapes[DeploymentSpec.__name__]["properties"]["sla"]
    shapes["Open"] = {"anyOf": [{"type": "null"}, {"type": "string", "pattern": r"\{\{.+\}\}"}], "description": "Nothing, or text with placeholders."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "headrace project file"}


_OPEN = {"$ref": "#/$defs/Open"}


def _widened(schema: Any) -> Any:
    """Allow numbers of seconds where the shapes read a duration, as YAML is written."""
    if isinstance(schema, list):
        return [_widened(one) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    if given.get("format") == "duration":
        return {**given, "type": ["string", "number"]}
    return {key: _widened(one) for key, one in given.items()}
