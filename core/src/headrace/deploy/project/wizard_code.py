"""Asking how runs get the code of a new deployment: in an image, from storage, or where it lies. The answers are those of a recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.data.collections import deep_merge
from headrace.deploy.project.choice import Options, Project
from headrace.deploy.project.init import configure_project_by_recipe, git_remote, recipe_inputs
from headrace.deploy.project.shapes import STEP_KEYS
from headrace.model import job_templates
from headrace.model.errors import ObjectNotFound

if TYPE_CHECKING:
    from headrace.deploy.project.wizard import Asker

_STORAGES = {
    "git": "a git repository",
    "s3": "S3",
    "gcs": "Google Cloud Storage",
    "azure": "Azure Blob Storage",
}
_CREDENTIALS = {"s3": "aws-credentials", "gcs": "gcp-credentials", "azure": "azure-blob-storage-credentials"}
"""The types of the blocks that give access to each storage."""
_CREDENTIALS_NEEDED = ("azure",)
"""Storages that machines have no access to by themselves: without a block not even the account is known."""

Steps = dict[str, list[dict[str, dict[str, Any]]]]


def asked_code(options: Options, project: Project, asker: Asker) -> Options:
    """Return the options with the steps that the answers make. What the project file has steps for is not asked."""
    head = cast("dict[str, Any]", project.source.data or {})
    image = not head.get("build") and "image" not in options.job_variables and _takes_image(options.pool)
    image = image and asker.yes("Shall a Docker image be built for its runs?")
    inputs: dict[str, Any] = {}
    dockerfile = "auto"
    if image:
        inputs["image_name"] = asker.text("What shall the image be called, with its registry? (registry/name)")
        inputs["tag"] = asker.text("Which tag shall it have?", "latest")
        dockerfile = asker.text("Which Dockerfile? (auto writes one)", dockerfile)
    storage = None
    if not head.get("pull") and asker.yes("Shall runs pull the code from remote storage?"):
        storage = _key(asker.choose("Where is the code kept?", list(_STORAGES.values())))
        inputs |= _asked_place(storage, asker)
    recipe = "-".join(name for name, chosen in (("docker", image), (storage, storage)) if chosen and name)
    if not recipe:
        return options
    made = cast("dict[str, Any]", configure_project_by_recipe(recipe, **inputs))
    steps: Steps = {key: made[key] for key in STEP_KEYS if made.get(key)}
    if image:
        _finish_image(steps, dockerfile, asker)
    if storage is not None:
        _give_credentials(steps, storage, options, asker)
    variables = deep_merge(made.get("job_variables") or {}, options.job_variables)
    return replace(options, job_variables=variables, steps={key: one for key, one in steps.items() if one})


def _takes_image(pool: str | None) -> bool:
    """Return whether the work pool lets deployments choose an image."""
    from headrace.model.endpoints.work_pools import READ_WORK_POOL

    if pool is None:
        return False
    try:
        found = drive(current_client().call(READ_WORK_POOL, name=pool))
    except ObjectNotFound:
        return False  # told when everything is checked
    return "image" in job_templates.properties(found.base_job_template)


def _key(label: str) -> str:
    return next(name for name, text in _STORAGES.items() if text == label)


def _asked_place(storage: str, asker: Asker) -> dict[str, str]:
    remote = git_remote() if storage == "git" else None
    known = {"repository": remote[0], "branch": remote[1]} if remote is not None else {}
    return {name: asker.text(about, known.get(name)) for name, about in recipe_inputs(storage).items()}


def _finish_image(steps: Steps, dockerfile: str, asker: Asker) -> None:
    """Put in which Dockerfile it is, and whether and how the image is pushed."""
    (build,) = steps["build"][0].values()
    build["dockerfile"] = dockerfile
    (name,) = (one for step in steps["push"] for one in step if one.endswith("push_docker_image"))
    if not asker.yes("Shall the image be pushed to its registry?"):
        steps["push"] = [step for step in steps["push"] if name not in step]
    elif asker.yes("Is the registry private?"):
        block = asker.text("Which block of type docker-registry-credentials opens it?")
        step = next(step for step in steps["push"] if name in step)
        step[name]["credentials"] = f"{{{{ headrace.blocks.docker-registry-credentials.{block} }}}}"


def _give_credentials(steps: Steps, storage: str, options: Options, asker: Asker) -> None:
    """Name the block that opens the storage; a token for git is saved in one."""
    if storage == "git":
        if asker.yes("Is the repository private?"):
            (clone,) = steps["pull"][0].values()
            clone["access_token"] = f"{{{{ headrace.blocks.secret.{_saved_token(options, asker)} }}}}"
        return
    kind = _CREDENTIALS[storage]
    if storage not in _CREDENTIALS_NEEDED and not asker.yes(f"Does access take a block of type {kind}?"):
        return
    block = asker.text(f"What is the block of type {kind} called?")
    for step in (*steps.get("push", ()), *steps.get("pull", ())):
        for name, inputs in step.items():
            if "docker" not in name:
                inputs["credentials"] = f"{{{{ headrace.blocks.{kind}.{block} }}}}"


def _saved_token(options: Options, asker: Asker) -> str:
    from pydantic import SecretStr

    from headrace.objects.system import Secret

    name = asker.text("What shall the block be called that keeps the token?", f"{options.names[0] if options.names else 'git'}-repo-token")
    drive(Secret[str](value=SecretStr(asker.secret("Access token"))).asave(name, overwrite=True))
    return name
