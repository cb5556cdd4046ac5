"""Beginning a project: a project file made from a recipe, and the list of files that are not pushed."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from headrace.data.annotations import NotSet
from headrace.deploy.project.schema import EDITOR_LINE, SCHEMA_FILE, project_schema
from headrace.deploy.templating import KEPT, Placeholder, named_value, substitute
from headrace.model.errors import near

RECIPES = Path(__file__).with_name("recipes")
PROJECT_FILE = "headrace.yaml"
IGNORE_FILE = ".headraceignore"

_COMMENTS = {
    "build": "What is made when a deployment is made, such as an image.",
    "push": "What brings the code where runs will find it.",
    "pull": "What each run does first, to have the code.",
    "deployments": "The deployments of this project; `headrace plan` tells what deploying them would change.",
}

_IGNORED = """\
# Files that are not pushed with the code, in the syntax of .gitignore.
.git/
.venv/
venv/
__pycache__/
*.py[cod]
.pytest_cache/
.ruff_cache/
.mypy_cache/
.ipynb_checkpoints/
.idea/
.vscode/
.DS_Store
.env
"""


@cache
def _recipes() -> dict[str, dict[str, Any]]:
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(RECIPES.glob("*.yaml"))}


def recipe_names() -> dict[str, str]:
    """Return the recipes there are, with a line about each."""
    return {name: str(recipe["description"]) for name, recipe in _recipes().items()}


def recipe_inputs(recipe: str) -> dict[str, str]:
    """Return what a recipe wants to be told, with a line about each. Raises `ValueError` for an unknown one."""
    return dict(_recipe(recipe).get("inputs") or {})


def _recipe(name: str) -> dict[str, Any]:
    if name not in _recipes():
        raise ValueError(f"Unknown recipe {name!r} provided. {near(name, _recipes()) or 'There are: ' + ', '.join(_recipes()) + '.'}")
    return _recipes()[name]


def configure_project_by_recipe(recipe: str, **formatting_kwargs: Any) -> dict[str, Any] | type[NotSet]:
    """Return the keys `build`, `push` and `pull` that a recipe makes of its inputs. Placeholders that no input fills stay.

    Raises `ValueError` for an unknown recipe.
    """
    given = {"directory": str(Path.cwd()), "name": Path.cwd().name, **formatting_kwargs}

    def resolve(one: Placeholder) -> Any:
        found = named_value(given, one)
        return found if one.name in given else KEPT

    made = {key: value for key, value in _recipe(recipe).items() if key not in ("description", "inputs")}
    return substitute(made, resolve)


def create_default_headrace_yaml(path: str, name: str | None = None, contents: dict[str, Any] | None = None) -> bool:
    """Write `headrace.yaml` and the schema that its first line names into the folder `path`, unless there is a project file.

    Returns whether they were written.

    `name`: the project's name, by default that of the folder. `contents`: its steps, by default those of the recipe `local`.
    """
    folder = Path(path)
    if any((folder / one).exists() for one in (PROJECT_FILE, "prefect.yaml")):
        return False
    steps = cast("dict[str, Any]", configure_project_by_recipe("local")) if contents is None else dict(contents)
    variables: dict[str, Any] = steps.pop("job_variables", None) or {}
    (folder / PROJECT_FILE).write_text(_file_text(name or folder.resolve().name, steps, variables), encoding="utf-8")
    (folder / SCHEMA_FILE).write_text(f"{json.dumps(project_schema(), indent=1)}\n", encoding="utf-8")
    return True


def _file_text(name: str, steps: dict[str, Any], variables: dict[str, Any]) -> str:
    empty: dict[str, Any] = dict.fromkeys(("name", "version", "description", "entrypoint", "schedules"))
    pool: dict[str, Any] = {"name": None, "work_queue_name": None, "job_variables": variables}
    deployment: dict[str, Any] = {**empty, "tags": [], "parameters": {}, "work_pool": pool}
    values: dict[str, Any] = {**{key: steps.get(key) for key in ("build", "push", "pull")}, "deployments": [deployment]}
    rest = {key: value for key, value in steps.items() if key not in values}
    parts = [f"{EDITOR_LINE}\n# How the flows of this project are deployed. See `headrace deploy --help`.\n{_dumped({'name': name, **rest})}"]
    parts += [f"# {_COMMENTS[key]}\n{_dumped({key: value})}" for key, value in values.items()]
    return "\n".join(parts)


def _dumped(value: Any) -> str:
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=150)
    return text.replace(": null\n", ":\n")


def initialize_project(name: str | None = None, recipe: str | None = None, inputs: dict[str, Any] | None = None) -> list[str]:
    """Begin a project in the working directory and return the files that were written; those that are there already stay.

    `name`: by default that of the folder. `recipe`: by default `docker-git`, `docker`, `git` or `local`, by whether there are a Dockerfile and a
    git remote. `inputs`: what the recipe wants to be told. Raises `ValueError` for an unknown recipe.
    """
    given = dict(inputs or {})
    remote = git_remote()
    chosen = recipe or guess_recipe(remote is not None)
    if remote is not None and "git" in chosen.split("-"):
        given = {"repository": remote[0], "branch": remote[1], **given}
    made = configure_project_by_recipe(chosen, **{**({"name": name} if name else {}), **given})
    written: list[str] = []
    if not Path(IGNORE_FILE).exists():
        Path(IGNORE_FILE).write_text(_IGNORED, encoding="utf-8")
        written.append(IGNORE_FILE)
    if create_default_headrace_yaml(".", name, cast("dict[str, Any]", made)):
        written += [PROJECT_FILE, SCHEMA_FILE]
    return written


def guess_recipe(has_remote: bool) -> str:
    """Return the recipe that suits the working directory."""
    has_image = Path("Dockerfile").exists()
    return "docker-git" if has_image and has_remote else "docker" if has_image else "git" if has_remote else "local"


def git_remote() -> tuple[str, str] | None:
    """Return the address of the remote `origin`, without credentials, and the current branch; None where there is none."""
    from headrace.objects.git.clones import repository_at

    def said(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, timeout=30).stdout.strip()

    try:
        return repository_at(said("config", "--get", "remote.origin.url")).url, said("rev-parse", "--abbrev-ref", "HEAD")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
