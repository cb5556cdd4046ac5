"""`headrace init`: begin a project."""

from __future__ import annotations

import json

import click

from headrace.cli.render import fail


@click.command("init")
@click.option("--name", default=None, help="The project's name; by default that of the folder.")
@click.option("--recipe", default=None, help="Where the code is kept: local, git, docker, docker-git, s3, gcs, azure, ...")
@click.option("-f", "--field", "fields", multiple=True, metavar="NAME=VALUE", help="What the recipe wants to be told. Repeatable.")
@click.option("--schema", "schema_only", is_flag=True, help="Print the JSON schema of project files, for editors, and write nothing.")
def command(name: str | None, recipe: str | None, fields: tuple[str, ...], schema_only: bool) -> None:
    """Write a project file, its schema and a list of ignored files into this folder, unless they are there.

    On a terminal, asks which recipe to follow and what it wants to be told.
    """
    from headrace.cli.asking_deployment import TerminalAsker
    from headrace.cli.config import is_interactive
    from headrace.deploy.project.init import git_remote, guess_recipe, initialize_project, recipe_inputs, recipe_names

    if schema_only:
        from headrace.deploy.project.schema import project_schema

        click.echo(json.dumps(project_schema(), indent=1))
        return
    given: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{field!r} should be NAME=VALUE.")
        given[key] = value
    remote = git_remote()
    if recipe is None and is_interactive():
        lines = [f"{one}: {about}" for one, about in recipe_names().items()]
        recipe = TerminalAsker().choose("Where shall the code of your flows be kept?", lines).partition(":")[0]
    recipe = recipe or guess_recipe(remote is not None)
    try:
        wanted = recipe_inputs(recipe)
    except ValueError as error:
        fail(str(error), code=2)
    known = {"repository": remote[0], "branch": remote[1]} if remote is not None else {}
    missing = {key: about for key, about in wanted.items() if key not in given and key not in known}
    if missing and not is_interactive():
        named = " ".join(f"--field {key}=VALUE" for key in missing)
        fail(f"The recipe {recipe!r} wants to be told: {', '.join(missing)}.", f"Add {named}.", 2)
    for key, about in missing.items():
        given[key] = TerminalAsker().text(about)
    written = initialize_project(name, recipe, given)
    if not written:
        fail("This folder has a project file already, and it was left as it is.")
    click.echo(f"Wrote {', '.join(written)}, by the recipe {recipe!r}.")
    click.echo("Fill in the deployment there, then look at `headrace plan` and make it with `headrace deploy`.")
