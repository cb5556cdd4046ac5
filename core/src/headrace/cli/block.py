"""`headrace block`: saved blocks and their types."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID

import click

from headrace.cli.exits import status_of
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.model.blocks import BlockDocument, BlockType

_PAGE = 200


@contextmanager
def errors_told() -> Generator[None]:
    """Turn expected errors into a line on stderr and the exit status that fits."""
    from headrace.model.errors import HeadraceException, InvalidRequest, ObjectNotFound, PluginNotInstalled, UnknownBlockType

    try:
        yield
    except (ObjectNotFound, PluginNotInstalled, UnknownBlockType) as error:
        fail(str(error), code=4)
    except InvalidRequest as error:
        fail(str(error), code=3 if error.status == 403 else 1)
    except (HeadraceException, ValueError, RuntimeError) as error:
        fail(_told(error), code=status_of(error))


def complete_blocks(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the saved blocks to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for document in _documents() if (name := _address(document)).startswith(typed)]


@click.group("block", cls=Group)
def group() -> None:
    """Manage blocks."""


@group.command("register")
@click.option("-m", "--module", "module_name", default=None, metavar="MODULE", help="Python module with block types, as `my_package.blocks`.")
@click.option("-f", "--file", "file_path", default=None, type=click.Path(), metavar="FILE", help="Path to a .py file with block types.")
@output_option
def register(module_name: str | None, file_path: str | None, output: str | None) -> None:
    """Register the block types in a module or file.

    Types that are registered already are brought up to date with their definition.
    """
    import sys

    from headrace.objects.blocks.modules import blocks_in_file, blocks_in_module

    if (module_name is None) == (file_path is None):
        raise click.UsageError("Give either --module or --file.")
    with errors_told():
        sys.path.insert(0, "")
        found = blocks_in_module(module_name) if module_name is not None else blocks_in_file(str(file_path))
        if not found:
            fail(f"There are no block types in {module_name or file_path}.", "A block type is a subclass of headrace.blocks.core.Block.")
        for block_class in found:
            block_class.register_type_and_schema()
    data = [{"name": one.get_block_type_name(), "slug": one.get_block_type_slug()} for one in found]
    emit(data, output, (("slug", "name"), [(one["slug"], one["name"]) for one in data]))


@group.command("ls")
@output_option
def list_blocks(output: str | None) -> None:
    """List the saved blocks, without their secrets."""
    with errors_told():
        documents = _documents()
    rows = [(_address(one), one.id, one.block_type_name) for one in documents]
    emit(documents, output, (("block", "id", "type"), rows))


@group.command()
@click.argument("slug", required=False, shell_complete=complete_blocks, metavar="[TYPE/NAME]")
@click.option("--id", "block_id", default=None, type=click.UUID, help="The block's id, instead of its slug.")
@output_option
def inspect(slug: str | None, block_id: UUID | None, output: str | None) -> None:
    """Show a saved block, without its secrets."""
    with errors_told():
        document = _find(slug, block_id)
    shown = {
        "block": _address(document),
        "id": str(document.id),
        "type": document.block_type_name,
        "created": str(document.created),
        "updated": str(document.updated),
        **{f"data.{name}": value for name, value in document.data.items()},
    }
    emit(document, output, (("field", "value"), list(shown.items())))


@group.command()
@click.argument("type_slug", metavar="TYPE_SLUG[/NAME]")
@click.option("--value", "values", multiple=True, metavar="KEY=VALUE", help="A field of the block, repeatable. JSON, or else text.")
@click.option("--values", "file", default=None, type=click.File(), metavar="FILE", help="A JSON object with fields; `-` reads it from stdin.")
@click.option("--overwrite", is_flag=True, help="Replace the values of a block of that name.")
@output_option
def create(type_slug: str, values: tuple[str, ...], file: IO[str] | None, overwrite: bool, output: str | None) -> None:
    """Save a block: `headrace block create secret/token --values -`.

    What stands on the command line is seen by others and kept in the shell's history, so give secrets by --values. With a type
    alone, tell where the user interface makes one.
    """
    slug, slash, name = type_slug.partition("/")
    with errors_told():
        if not slash:
            if values or file is not None:
                raise click.UsageError(f"Say the name too, to save a block: `headrace block create {slug}/NAME`.")
            _tell_where(slug)
            return
        from headrace.objects.blocks import Block
        from headrace.objects.blocks.known import class_of

        block: Block = class_of(slug).model_validate(_fields(slug, values, file))
        block.save(name, overwrite=overwrite)
        document = _find(type_slug, None)
    emit(document, output, (("block", "id"), [(type_slug, document.id)]))


@group.command()
@click.argument("slug", required=False, shell_complete=complete_blocks, metavar="[TYPE/NAME]")
@click.option("--id", "block_id", default=None, type=click.UUID, help="The block's id, instead of its slug.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(slug: str | None, block_id: UUID | None, yes: bool) -> None:
    """Delete a saved block."""
    from headrace.model.endpoints.blocks import DELETE_BLOCK_DOCUMENT

    with errors_told():
        document = _find(slug, block_id)
        _confirm(f"block {_address(document)!r}", yes)
        call(DELETE_BLOCK_DOCUMENT, id=document.id)
    click.echo(f"Deleted block {_address(document)!r}.")


@group.group("type")
def type_group() -> None:
    """Inspect and delete block types."""


group.add_command(type_group, "types")


@type_group.command("ls")
@output_option
def list_types(output: str | None) -> None:
    """List the block types: those that are registered, and those that installed plugins offer."""
    from headrace.plugin import Kind, get_registry

    with errors_told():
        known = _types()
        registered = {one.slug for one in known}
        offers = [offer for offer in get_registry().offers(Kind.BLOCK) if offer.name not in registered]
    data = [
        *({"slug": one.slug, "name": one.name, "description": _first_line(one.description), "registered": True} for one in known),
        *({"slug": one.name, "name": one.name, "description": one.summary, "registered": False} for one in offers),
    ]
    data.sort(key=lambda one: str(one["slug"]))
    rows = [(one["slug"], one["description"], "yes" if one["registered"] else "at its first save") for one in data]
    emit(data, output, (("slug", "description", "registered"), rows))


@type_group.command("inspect")
@click.argument("slug")
@output_option
def inspect_type(slug: str, output: str | None) -> None:
    """Show a block type."""
    from headrace.model.endpoints.blocks import READ_BLOCK_TYPE_BY_SLUG

    with errors_told():
        found: BlockType = call(READ_BLOCK_TYPE_BY_SLUG, slug=slug)
    emit(found, output, (("field", "value"), [(name, value) for name, value in found.model_dump(mode="json").items()]))


@type_group.command("delete")
@click.argument("slug")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete_type(slug: str, yes: bool) -> None:
    """Delete an unprotected block type and every block of it."""
    from headrace.model.blocks import BlockDocumentCount, BlockTypeFilter, BlockTypeFilterSlug
    from headrace.model.endpoints.blocks import COUNT_BLOCK_DOCUMENTS, DELETE_BLOCK_TYPE, READ_BLOCK_TYPE_BY_SLUG

    with errors_told():
        found: BlockType = call(READ_BLOCK_TYPE_BY_SLUG, slug=slug)
        if found.is_protected:
            fail(f"Block type {slug!r} is part of headrace, so it cannot be deleted.", code=3)
        count = call(COUNT_BLOCK_DOCUMENTS, BlockDocumentCount(block_types=BlockTypeFilter(slug=BlockTypeFilterSlug(any_=[slug]))))
        _confirm(f"block type {slug!r} and its {count} saved blocks", yes)
        call(DELETE_BLOCK_TYPE, id=found.id)
    click.echo(f"Deleted block type {slug!r}.")


# --- parts ------------------------------------------------------------------------------------------------------------


def _told(error: Exception) -> str:
    """Return the message of an error in one line, also if it is pydantic's list of them."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in problems)


def _documents() -> list[BlockDocument]:
    from headrace.model.blocks import BlockDocumentQuery, BlockDocumentSort
    from headrace.model.endpoints.blocks import FILTER_BLOCK_DOCUMENTS

    return _pages(FILTER_BLOCK_DOCUMENTS, BlockDocumentQuery(sort=BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC))


def _types() -> list[BlockType]:
    from headrace.model.blocks import BlockTypeQuery
    from headrace.model.endpoints.blocks import FILTER_BLOCK_TYPES

    return _pages(FILTER_BLOCK_TYPES, BlockTypeQuery())


def _pages(endpoint: Any, query: Any) -> list[Any]:
    found: list[Any] = []
    while True:
        page = call(endpoint, query.model_copy(update={"offset": len(found)}))
        found.extend(page)
        if len(page) < _PAGE:
            return found


def _address(document: BlockDocument) -> str:
    slug = document.block_type.slug if document.block_type is not None else "?"
    return f"{slug}/{document.name}"


def _find(slug: str | None, block_id: UUID | None) -> BlockDocument:
    from headrace.model.endpoints.blocks import READ_BLOCK_DOCUMENT, READ_BLOCK_DOCUMENT_BY_NAME
    from headrace.model.errors import ObjectNotFound, near

    if (slug is None) == (block_id is None):
        raise click.UsageError("Give either TYPE/NAME or --id.")
    if block_id is not None:
        return call(READ_BLOCK_DOCUMENT, id=block_id)
    assert slug is not None
    type_slug, slash, name = slug.partition("/")
    if not slash or not name:
        raise click.UsageError(f"{slug!r} is not of the form TYPE/NAME, as `secret/my-token`.")
    try:
        return call(READ_BLOCK_DOCUMENT_BY_NAME, slug=type_slug, block_document_name=name)
    except ObjectNotFound:
        fail(f"There is no block {slug!r}.", near(slug, [_address(one) for one in _documents()]) or "`headrace block ls` lists them.", 4)


def _confirm(what: str, yes: bool) -> None:
    from headrace.cli.config import is_interactive

    if yes:
        return
    if not is_interactive():
        fail(f"{what[0].upper()}{what[1:]} was not deleted, because nobody can be asked.", "Add --yes to delete it.", 2)
    click.confirm(f"Delete {what}?", abort=True)


def _fields(slug: str, values: tuple[str, ...], file: IO[str] | None) -> dict[str, Any]:
    """Return the fields of a file and of `KEY=VALUE`. Text fields, secrets among them, take the value as it stands."""
    import json

    from headrace.model.errors import near
    from headrace.objects.blocks.known import class_of

    properties: dict[str, Any] = class_of(slug).model_json_schema().get("properties", {})
    try:
        fields: dict[str, Any] = json.load(file) if file is not None else {}
    except ValueError as error:
        raise click.UsageError(f"--values needs a JSON object: {error}.") from error
    for item in values:
        name, equals, text = item.partition("=")
        if not equals:
            raise click.UsageError(f"{name!r} is not of the form KEY=VALUE.")
        about = properties.get(name, {})
        kinds = {about.get("type"), about.get("format"), *(one.get("type") for one in about.get("anyOf", ()))}
        try:
            fields[name] = text if kinds & {"string", "password"} else json.loads(text)
        except ValueError:
            fields[name] = text
    for name in fields:
        if name not in properties:
            hint = near(name, properties) or f"There are: {', '.join(properties)}."
            raise click.UsageError(f"Block type {slug!r} has no field {name!r}. {hint}")
    return fields


def _tell_where(slug: str) -> None:
    from headrace.plugin import Kind, get_registry
    from headrace.settings import get_current_settings

    if slug not in {one.slug for one in _types()}:
        get_registry().find(Kind.BLOCK, slug)
    address = get_current_settings().ui_url
    save = f"headrace block create {slug}/NAME --value KEY=VALUE"
    if address is None:
        click.echo(f"No server with a user interface is set up here. Save one with `{save}`.")
    else:
        click.echo(f"Create a {slug} block: {str(address).rstrip('/')}/blocks/catalog/{slug}/create")


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]
