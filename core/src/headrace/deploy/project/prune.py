"""Deployments that came from a project file and are in it no more."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.deploy.listing import deployments_by_name
from headrace.deploy.project.apply import Made
from headrace.deploy.project.checks import Prepared
from headrace.deploy.project.choice import SOURCE_LABEL, Options, Project
from headrace.deploy.project.source import Problem, ProjectInvalid
from headrace.model.deployments import Deployment
from headrace.model.errors import HeadraceException


def left_over(project: Project, options: Options, prepared: Sequence[Prepared]) -> dict[str, Deployment]:
    """Return the deployments to delete by their full name: those with the project's label that it does not list. None of them without `prune`.

    Raises `ProjectInvalid` when not all deployments of the project are meant, or when it has no name, by which its deployments are known.
    """
    if not options.prune:
        return {}
    if not options.all:
        raise ProjectInvalid([Problem("", "", "--prune deletes what the project file does not list any more, so it goes with --all.")])
    if project.label is None:
        message = "--prune knows the deployments of a project by its name, and it has none. Give it one with the key name, and deploy it once."
        raise ProjectInvalid([Problem(project.name, "", message)])
    listed = {one.name for one in prepared}
    found = deployments_by_name().items()
    return {name: one for name, one in found if name not in listed and one.labels.get(SOURCE_LABEL) == project.label}


def delete(gone: dict[str, Deployment]) -> list[Made]:
    """Delete deployments, with their schedules and automations, and say what became of each."""
    from headrace.model.endpoints.deployments import DELETE_DEPLOYMENT

    made: list[Made] = []
    for name, deployment in gone.items():
        try:
            drive(current_client().call(DELETE_DEPLOYMENT, id=deployment.id))
            made.append(Made(name, "deleted"))
        except HeadraceException as error:
            made.append(Made(name, error=str(error)))
    return made
