"""The routes of block types, schemas and documents, as a client of the API uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model import blocks as shapes
from headrace.model import ids
from headrace.model.blocks import BlockDocument, BlockDocumentCreate, BlockDocumentUpdate, BlockSchema, BlockSchemaCreate, BlockType, BlockTypeCreate
from headrace.model.endpoints import blocks as endpoints
from headrace.model.endpoints.admin import READ_DEFAULT_RESULT_STORAGE, UPDATE_DEFAULT_RESULT_STORAGE
from headrace.model.endpoints.events import FILTER_EVENTS
from headrace.model.errors import InvalidRequest, ObjectAlreadyExists, ObjectNotFound
from headrace.model.event_filters import FilterEvents

STARS = "********"


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


def make_type(slug: str, **more: Any) -> BlockType:
    return call(endpoints.CREATE_BLOCK_TYPE, BlockTypeCreate(name=more.pop("name", slug.title()), slug=slug, **more))


def make_schema(block_type: BlockType, secrets: tuple[str, ...] = (), capabilities: tuple[str, ...] = (), version: str = "1") -> BlockSchema:
    fields = {"title": block_type.name, "type": "object", "properties": {}, "block_type_slug": block_type.slug, "secret_fields": list(secrets)}
    body = BlockSchemaCreate(fields=fields, block_type_id=block_type.id, capabilities=list(capabilities), version=version)
    return call(endpoints.CREATE_BLOCK_SCHEMA, body)


def make_document(schema: BlockSchema, name: str | None, data: dict[str, Any], **more: Any) -> BlockDocument:
    assert schema.block_type_id is not None
    body = BlockDocumentCreate(name=name, data=data, block_schema_id=schema.id, block_type_id=schema.block_type_id, **more)
    return call(endpoints.CREATE_BLOCK_DOCUMENT, body)


def read(document: BlockDocument, include_secrets: bool = True) -> dict[str, Any]:
    return call(endpoints.READ_BLOCK_DOCUMENT, id=document.id, include_secrets=include_secrets).data


def update(document: BlockDocument, **values: Any) -> None:
    call(endpoints.UPDATE_BLOCK_DOCUMENT, BlockDocumentUpdate(**values), id=document.id)


def refer(document: BlockDocument) -> dict[str, Any]:
    return {"$ref": {"block_document_id": str(document.id)}}


# --- types and schemas ------------------------------------------------------------------------------------------------


def test_a_slug_is_taken_once() -> None:
    make_type("thing", name="B816d7d")
    with pytest.raises(ObjectAlreadyExists, match='Block type with name "B816d7d" already exists'):
        make_type("thing", name="B816d7d")


def test_reserved_names_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="Block type names beginning with 'Prefect' are reserved") as raised:
        make_type("prefect-foo", name="PrefectFoo")
    assert raised.value.status == 403


def test_a_type_changes_only_what_is_given() -> None:
    made = make_type("thing", description="old", logo_url="http://logo")
    call(endpoints.UPDATE_BLOCK_TYPE, shapes.BlockTypeUpdate(description="new"), id=made.id)
    found = call(endpoints.READ_BLOCK_TYPE_BY_SLUG, slug="thing")
    assert (found.description, found.logo_url) == ("new", "http://logo")
    assert found == call(endpoints.READ_BLOCK_TYPE, id=made.id)


def test_missing_objects_are_not_found() -> None:
    nobody = ids.new()
    make_type("thing")
    with pytest.raises(ObjectNotFound, match="Block type not found.*Did you mean 'thing'"):
        call(endpoints.READ_BLOCK_TYPE_BY_SLUG, slug="thingy")
    for endpoint in (endpoints.READ_BLOCK_TYPE, endpoints.DELETE_BLOCK_TYPE, endpoints.READ_BLOCK_SCHEMA, endpoints.DELETE_BLOCK_SCHEMA):
        with pytest.raises(ObjectNotFound):
            call(endpoint, id=nobody)
    for endpoint in (endpoints.READ_BLOCK_DOCUMENT, endpoints.DELETE_BLOCK_DOCUMENT):
        with pytest.raises(ObjectNotFound, match="Block document not found"):
            call(endpoint, id=nobody)
    with pytest.raises(ObjectNotFound, match="Block schema not found"):
        call(endpoints.READ_BLOCK_SCHEMA_BY_CHECKSUM, checksum="sha256:0")
    with pytest.raises(ObjectNotFound, match="Block document not found"):
        call(endpoints.READ_BLOCK_DOCUMENT_BY_NAME, slug="thing", block_document_name="zz")
    with pytest.raises(ObjectNotFound, match="Block type not found"):
        call(endpoints.CREATE_BLOCK_SCHEMA, BlockSchemaCreate(fields={}, block_type_id=nobody))


def test_a_schema_is_known_by_checksum_and_version() -> None:
    made = make_type("thing")
    first = make_schema(made)
    assert make_schema(made) == first
    second = make_schema(made, version="2")
    assert second.id != first.id
    assert second.checksum == first.checksum
    by_checksum = endpoints.READ_BLOCK_SCHEMA_BY_CHECKSUM
    assert call(by_checksum, checksum=first.checksum, version="1") == first
    assert call(by_checksum, checksum=first.checksum) == second
    assert make_schema(made, secrets=("a",)) == first  # secret fields do not count


def test_the_checksum_is_the_documented_one() -> None:
    fields = {
        "title": "B",
        "type": "object",
        "properties": {"s": {"type": "string", "format": "password"}},
        "secret_fields": ["s"],
        "block_type_slug": "b816d7d",
        "block_schema_references": {},
    }
    assert shapes.schema_checksum(fields) == "sha256:1bffbb8208e6416ec06c11c80e79193349fa3977d27b8c6826ac0e9be9476076"
    block, plain = {"block_type_slug": "x", "title": "N"}, {"title": "N"}
    assert shapes.schema_checksum({**fields, "definitions": {"N": block}}) == shapes.schema_checksum(fields)
    assert shapes.schema_checksum({**fields, "definitions": {"N": plain}}) != shapes.schema_checksum(fields)


def test_types_and_schemas_are_filtered() -> None:
    writer, reader = make_type("writer", name="The Writer"), make_type("reader", name="A_Reader")
    both = make_schema(writer, capabilities=("read", "write"))
    one = make_schema(reader, capabilities=("read",))

    def types(**wanted: Any) -> list[str]:
        return [found.slug for found in call(endpoints.FILTER_BLOCK_TYPES, shapes.BlockTypeQuery.model_validate(wanted))]

    assert types() == ["reader", "writer"]
    assert types(limit=1, offset=1) == ["writer"]
    assert types(block_types={"name": {"like_": "WRIT"}}) == ["writer"]
    assert types(block_types={"name": {"like_": "_"}}) == ["reader"]
    assert types(block_types={"slug": {"any_": ["reader", "nobody"]}}) == ["reader"]
    assert types(block_types={"slug": {"any_": []}}) == []
    assert types(block_schemas={"block_capabilities": {"all_": ["read", "write"]}}) == ["writer"]

    def schemas(**wanted: Any) -> list[UUID]:
        query = shapes.BlockSchemaQuery.model_validate({"block_schemas": wanted} if wanted else {})
        return [found.id for found in call(endpoints.FILTER_BLOCK_SCHEMAS, query)]

    assert schemas() == [one.id, both.id]
    assert schemas(block_type_id={"any_": [writer.id]}) == [both.id]
    assert schemas(block_capabilities={"all_": ["write"]}) == [both.id]
    assert schemas(id={"any_": [one.id]}, block_capabilities={"all_": ["write"]}) == []
    assert schemas(operator="or_", id={"any_": [one.id]}, block_capabilities={"all_": ["write"]}) == [one.id, both.id]
    assert schemas(version={"any_": ["2"]}) == []
    assert call(endpoints.READ_BLOCK_CAPABILITIES) == ["read", "write"]
    with pytest.raises(InvalidRequest, match="must be less than or equal to 200"):
        types(limit=201)


def test_deleting_a_type_deletes_all_of_it() -> None:
    made = make_type("thing")
    make_document(make_schema(made), "one", {})
    call(endpoints.DELETE_BLOCK_TYPE, id=made.id)
    assert call(endpoints.FILTER_BLOCK_SCHEMAS) == []
    assert call(endpoints.COUNT_BLOCK_DOCUMENTS) == 0


def test_system_types_are_installed_once_and_protected() -> None:
    call(endpoints.INSTALL_SYSTEM_BLOCK_TYPES)
    installed = call(endpoints.FILTER_BLOCK_TYPES)
    schemas = call(endpoints.FILTER_BLOCK_SCHEMAS)
    documented = {
        *("custom-webhook", "discord-webhook", "local-file-system", "mattermost-webhook", "ms-teams-webhook", "opsgenie-webhook"),
        *("pager-duty-webhook", "remote-file-system", "secret", "sendgrid-email", "slack-webhook", "smb", "twilio-sms", "webhook"),
    }
    assert documented <= {one.slug for one in installed}
    assert {one.slug for one in installed if one.is_protected} == {"secret", "webhook", "local-file-system"}
    call(endpoints.INSTALL_SYSTEM_BLOCK_TYPES)
    assert call(endpoints.FILTER_BLOCK_TYPES) == installed
    assert call(endpoints.FILTER_BLOCK_SCHEMAS) == schemas
    with pytest.raises(InvalidRequest, match="protected block types cannot be deleted") as raised:
        call(endpoints.DELETE_BLOCK_TYPE, id=next(one.id for one in installed if one.slug == "secret"))
    assert raised.value.status == 403


# --- documents ----------------------------------------------------------------------------------------------------------


def test_secrets_are_hidden_unless_asked_for() -> None:
    schema = make_schema(make_type("thing"), secrets=("token", "deep.*", "unset"))
    data = {"token": "hush", "deep": {"a": {"b": "hush"}}, "unset": None, "open": "seen"}
    hidden = {"token": STARS, "deep": {"a": {"b": STARS}}, "unset": None, "open": "seen"}
    made = make_document(schema, "one", data)
    assert made.data == hidden
    assert made.block_type_name == "Thing"
    assert read(made, include_secrets=False) == hidden
    assert read(made) == data
    query = shapes.BlockDocumentQuery()
    assert [one.data for one in call(endpoints.FILTER_BLOCK_DOCUMENTS, query)] == [hidden]
    assert [one.data for one in call(endpoints.FILTER_BLOCK_DOCUMENTS, query.model_copy(update={"include_secrets": True}))] == [data]
    by_type = endpoints.READ_BLOCK_DOCUMENTS_BY_TYPE
    assert [one.data for one in call(by_type, slug="thing")] == [hidden]
    assert [one.data for one in call(by_type, slug="thing", include_secrets=True)] == [data]


def test_a_hidden_value_that_comes_back_keeps_the_secret() -> None:
    made = make_document(make_schema(make_type("thing"), secrets=("token", "deep.*")), "one", {"token": "hush", "deep": {"a": "x"}, "n": 1})
    update(made, data={**read(made, include_secrets=False), "n": 2}, merge_existing_data=False)
    assert read(made) == {"token": "hush", "deep": {"a": "x"}, "n": 2}
    update(made, data={"deep": {"a": STARS, "b": "new"}})
    assert read(made) == {"token": "hush", "deep": {"a": "x", "b": "new"}, "n": 2}


def test_an_update_merges_or_replaces() -> None:
    made = make_document(make_schema(make_type("thing")), "one", {"a": 1, "b": 2})
    update(made, data={"b": 3})
    assert read(made) == {"a": 1, "b": 3}
    update(made, data={"c": 4}, merge_existing_data=False)
    assert read(made) == {"c": 4}


def test_an_update_may_change_the_schema_within_the_type() -> None:
    block_type = make_type("thing")
    made = make_document(make_schema(block_type), "one", {})
    newer, other = make_schema(block_type, version="2"), make_schema(make_type("other"))
    update(made, block_schema_id=newer.id)
    assert call(endpoints.READ_BLOCK_DOCUMENT, id=made.id).block_schema_id == newer.id
    with pytest.raises(InvalidRequest, match="another block type") as raised:
        update(made, block_schema_id=other.id)
    assert raised.value.status == 400


def test_references_are_expanded_and_follow_the_other_document() -> None:
    leaf = make_document(make_schema(make_type("leaf"), secrets=("token",)), "leaf", {"token": "hush"})
    schema = make_schema(make_type("branch"))
    branch = make_document(schema, "branch", {"leaf": refer(leaf), "n": 1})
    tree = make_document(schema, "tree", {"branch": refer(branch)})
    assert read(tree) == {"branch": {"n": 1, "leaf": {"token": "hush"}}}
    assert read(tree, include_secrets=False) == {"branch": {"n": 1, "leaf": {"token": STARS}}}
    [(name, reference)] = call(endpoints.READ_BLOCK_DOCUMENT, id=tree.id).block_document_references.items()
    assert name == "branch"
    about = reference["block_document"]
    assert (about["id"], about["name"], about["block_type"]["slug"], about["is_anonymous"]) == (str(branch.id), "branch", "branch", False)
    assert list(about["block_document_references"]) == ["leaf"]

    update(leaf, data={"token": "other"})
    assert read(tree)["branch"]["leaf"] == {"token": "other"}
    update(branch, data={"n": 2})
    assert read(branch) == {"n": 2, "leaf": {"token": "other"}}
    update(branch, data={"leaf": {"token": "inline"}})
    assert read(branch) == {"n": 2, "leaf": {"token": "inline"}}
    update(branch, data={"leaf": refer(leaf)})
    assert read(branch) == {"n": 2, "leaf": {"token": "other"}}
    call(endpoints.DELETE_BLOCK_DOCUMENT, id=leaf.id)
    assert read(branch) == {"n": 2}


def test_a_reference_that_comes_back_as_it_was_read_stays_one() -> None:
    leaf = make_document(make_schema(make_type("leaf"), secrets=("token",)), "leaf", {"token": "hush", "n": 1})
    branch = make_document(make_schema(make_type("branch")), "branch", {"leaf": refer(leaf)})
    for include_secrets in (False, True):
        update(branch, data={**read(branch, include_secrets), "m": 2}, merge_existing_data=False)
        assert list(call(endpoints.READ_BLOCK_DOCUMENT, id=branch.id).block_document_references) == ["leaf"]
    update(branch, data={"leaf": {"token": STARS, "n": 3}})
    assert call(endpoints.READ_BLOCK_DOCUMENT, id=branch.id).block_document_references == {}
    assert read(branch) == {"leaf": {"token": "hush", "n": 3}, "m": 2}
    assert read(leaf) == {"token": "hush", "n": 1}


def test_a_block_cannot_hold_itself() -> None:
    schema = make_schema(make_type("thing"))
    first = make_document(schema, "first", {})
    second = make_document(schema, "second", {"inner": refer(first)})
    for holder, held in ((first, first), (first, second)):
        with pytest.raises(InvalidRequest, match="part of itself"):
            update(holder, data={"inner": refer(held)})
    assert read(second) == {"inner": {}}


@pytest.mark.parametrize("reference", [{"$ref": "x"}, {"$ref": {}}, {"$ref": {"block_document_id": "x"}}])
def test_a_reference_of_another_form_is_refused(reference: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="reference in field 'inner' must read"):
        make_document(make_schema(make_type("thing")), "one", {"inner": reference})


def test_names_are_unique_for_each_type() -> None:
    schema = make_schema(make_type("thing"))
    make_document(schema, "one", {})
    make_document(make_schema(make_type("other")), "one", {})
    with pytest.raises(ObjectAlreadyExists, match="Block already exists"):
        make_document(schema, "one", {})


def test_only_an_anonymous_document_goes_without_a_name() -> None:
    schema = make_schema(make_type("thing"))
    with pytest.raises(InvalidRequest, match="Names must be provided"):
        make_document(schema, None, {})
    anonymous = make_document(schema, None, {}, is_anonymous=True)
    assert anonymous.name
    named = make_document(schema, "one", {})

    def found(**wanted: Any) -> list[UUID]:
        query = shapes.BlockDocumentQuery.model_validate({"block_documents": wanted} if wanted else {})
        listed = call(endpoints.FILTER_BLOCK_DOCUMENTS, query)
        assert call(endpoints.COUNT_BLOCK_DOCUMENTS, query) == len(listed)
        return [one.id for one in listed]

    assert found() == [named.id]
    assert found(is_anonymous={"eq_": True}) == [anonymous.id]
    assert found(is_anonymous=None) == [anonymous.id, named.id]


def test_documents_are_filtered_and_sorted() -> None:
    zebra, ant = make_type("zebra"), make_type("ant")
    in_zebra, in_ant = make_schema(zebra, capabilities=("run",)), make_schema(ant)
    make_document(in_zebra, "alpha", {})
    make_document(in_ant, "beta", {})
    make_document(in_zebra, "gamma", {})

    def names(**query: Any) -> list[str | None]:
        return [one.name for one in call(endpoints.FILTER_BLOCK_DOCUMENTS, shapes.BlockDocumentQuery.model_validate(query))]

    assert names() == ["alpha", "beta", "gamma"]
    assert names(sort="NAME_DESC") == ["gamma", "beta", "alpha"]
    assert names(sort="BLOCK_TYPE_AND_NAME_ASC") == ["beta", "alpha", "gamma"]
    assert names(limit=1, offset=1) == ["beta"]
    assert names(block_documents={"name": {"like_": "ET"}}) == ["beta"]
    assert names(block_documents={"name": {"any_": ["alpha", "beta"]}, "block_type_id": {"any_": [str(ant.id)]}}) == ["beta"]
    assert names(block_types={"slug": {"any_": ["zebra"]}}) == ["alpha", "gamma"]
    assert names(block_schemas={"block_capabilities": {"all_": ["run"]}}) == ["alpha", "gamma"]
    assert names(limit=0) == []


# --- the documented client methods -----------------------------------------------------------------------------------------


def test_the_client_methods_reach_the_same() -> None:
    from pydantic import SecretStr

    from headrace.client.methods.blocks import BlockMethods
    from headrace.model.errors import ProtectedBlockError

    class Methods(BlockMethods):
        async def call(self, *args: Any, **parameters: Any) -> Any:
            return await current_client().call(*args, **parameters)

    client: Any = Methods()
    made = drive(client.create_block_type(BlockTypeCreate(name="Thing", slug="thing")))
    schema = make_schema(made, secrets=("token",), capabilities=("run",))
    body = BlockDocumentCreate(name="one", data={"token": SecretStr("hush")}, block_schema_id=schema.id, block_type_id=made.id)
    document = drive(client.create_block_document(body))
    assert document.data == {"token": STARS}
    assert drive(client.read_block_document(document.id)).data == {"token": "hush"}
    assert drive(client.read_block_document_by_name("one", "thing", include_secrets=False)).data == {"token": STARS}
    assert [one.id for one in drive(client.read_block_documents("run"))] == [document.id]
    assert drive(client.read_block_documents("fly")) == []
    assert [one.id for one in drive(client.read_block_documents_by_type("thing", limit=5))] == [document.id]
    assert drive(client.get_most_recent_block_schema_for_block_type(made.id)) == schema
    assert drive(client.get_most_recent_block_schema_for_block_type(ids.new())) is None
    drive(client.update_block_document(document.id, BlockDocumentUpdate(data={"token": "other"})))
    assert read(document) == {"token": "other"}
    drive(client.delete_block_document(document.id))
    drive(client.delete_block_type(made.id))
    protected = make_type("secret", name="Secret")
    with pytest.raises(ProtectedBlockError):
        drive(client.delete_block_type(protected.id))
    assert [one.slug for one in drive(client.read_block_types())] == ["secret"]


# --- what follows ------------------------------------------------------------------------------------------------------------


def test_a_server_tells_of_changes_without_values(server: Any) -> None:
    block_type = server(endpoints.CREATE_BLOCK_TYPE, BlockTypeCreate(name="Thing", slug="thing"))
    fields = {"title": "Thing", "secret_fields": ["token"]}
    schema = server(endpoints.CREATE_BLOCK_SCHEMA, BlockSchemaCreate(fields=fields, block_type_id=block_type.id))
    data = {"token": "hush-1", "open": "seen-1"}
    made = server(endpoints.CREATE_BLOCK_DOCUMENT, BlockDocumentCreate(name="one", data=data, block_schema_id=schema.id, block_type_id=block_type.id))
    server(endpoints.UPDATE_BLOCK_DOCUMENT, BlockDocumentUpdate(data={"open": "seen-2"}), id=made.id)
    server(endpoints.DELETE_BLOCK_DOCUMENT, id=made.id)
    server(endpoints.DELETE_BLOCK_TYPE, id=block_type.id)
    page = server(FILTER_EVENTS, FilterEvents())
    about = [(event.event, event.resource.id, event.resource.name) for event in reversed(page.events)]
    document, type_ = f"prefect.block-document.{made.id}", f"prefect.block-type.{block_type.id}"
    assert about == [
        ("prefect.block-type.created", type_, "Thing"),
        ("prefect.block-document.created", document, "one"),
        ("prefect.block-document.updated", document, "one"),
        ("prefect.block-document.deleted", document, "one"),
        ("prefect.block-type.deleted", type_, "Thing"),
    ]
    assert [(one.role, one.id) for one in page.events[1].related] == [("block-type", type_), ("block-schema", f"prefect.block-schema.{schema.id}")]
    assert "hush-1" not in str(page)
    assert "seen-" not in str(page)


@pytest.mark.parametrize("gone", ["document", "schema", "type"])
def test_the_default_storage_is_forgotten_with_its_block(gone: str) -> None:
    block_type = make_type("thing")
    schema = make_schema(block_type)
    made, other = make_document(schema, "one", {}), make_document(make_schema(make_type("other")), "two", {})
    call(UPDATE_DEFAULT_RESULT_STORAGE, UPDATE_DEFAULT_RESULT_STORAGE.body(default_result_storage_block_id=made.id))
    call(endpoints.DELETE_BLOCK_DOCUMENT, id=other.id)
    assert call(READ_DEFAULT_RESULT_STORAGE).default_result_storage_block_id == made.id
    endpoint, id = {
        "document": (endpoints.DELETE_BLOCK_DOCUMENT, made.id),
        "schema": (endpoints.DELETE_BLOCK_SCHEMA, schema.id),
        "type": (endpoints.DELETE_BLOCK_TYPE, block_type.id),
    }[gone]
    call(endpoint, id=id)
    assert call(READ_DEFAULT_RESULT_STORAGE).default_result_storage_block_id is None


def test_a_document_can_be_deleted_when_its_key_is_lost(home: Path) -> None:
    made = make_document(make_schema(make_type("thing")), "one", {})
    (home / "encryption.key").unlink()
    call(endpoints.DELETE_BLOCK_DOCUMENT, id=made.id)
    assert call(endpoints.COUNT_BLOCK_DOCUMENTS) == 0
    make_document(make_schema(make_type("other")), "two", {})
