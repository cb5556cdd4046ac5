"""Blocks as users define, save and load them."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, PrivateAttr, SecretBytes, SecretStr, ValidationError
from pydantic import Secret as PydanticSecret

from headrace.blocks.abstract import CredentialsBlock
from headrace.blocks.core import Block, BlockNotSavedError, InvalidBlockRegistration, UnknownBlockType
from headrace.blocks.credentials import Live
from headrace.blocks.fields import SecretDict
from headrace.blocks.system import Secret
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model.blocks import BlockDocumentCreate, BlockSchemaCreate, BlockTypeCreate
from headrace.model.endpoints import blocks as endpoints
from headrace.model.errors import EncryptionKeyError
from headrace.objects.blocks.modules import blocks_in_module
from headrace.settings import temporary_settings

pytestmark = pytest.mark.usefixtures("client")

HUSH = "hush-hush-9f3a"
DEEP = "deep-secret-77c1"


class Cube(Block):
    edge_length_inches: float


class Inner(Block):
    """An inner block."""

    size: int = 1
    token: SecretStr


class Outer(Block):
    inner: Inner
    system: SecretDict
    key: SecretBytes | None = None
    number: PydanticSecret[int] | None = None
    tokens: list[SecretStr] = []
    name: str = "x"


class CloudCredentials(CredentialsBlock):
    password: SecretStr

    def get_client(self, *args: Any, **kwargs: Any) -> str:
        return self.password.get_secret_value()


class User(Block):
    credentials: CredentialsBlock


Run = Callable[[Callable[[], Any]], Any]


@pytest.fixture(params=["blocking", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Call something that returns a value, or in an event loop an awaitable of one, and return the value."""
    if request.param == "blocking":
        return lambda act: act()

    def in_loop(act: Callable[[], Any]) -> Any:
        async def main() -> Any:
            return await act()

        return asyncio.run(main())

    return in_loop


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


def outer() -> Outer:
    return Outer(
        inner=Inner(token=HUSH, size=3),
        system={"password": DEEP, "more": {"list": [DEEP]}},
        key=b"bytes-" + DEEP.encode(),
        number=42,
        tokens=["first-" + HUSH],
    )


# --- saving and loading -----------------------------------------------------------------------------------------------


def test_nested_saved_blocks_and_secrets_come_back(run: Run, home: Path) -> None:
    block = outer()
    inner_id = run(lambda: block.inner.save("the-inner"))
    outer_id = run(lambda: block.save("the-outer"))
    assert isinstance(outer_id, UUID)

    found = run(lambda: Outer.load("the-outer"))
    assert isinstance(found, Outer)
    assert isinstance(found.inner, Inner)
    assert found.document_data() == {**block.document_data(), "inner": {"$ref": {"block_document_id": str(inner_id)}}}
    assert found.inner.token.get_secret_value() == HUSH
    assert found.system.get_secret_value() == {"password": DEEP, "more": {"list": [DEEP]}}
    assert found.key.get_secret_value() == b"bytes-" + DEEP.encode()
    assert found.number.get_secret_value() == 42
    assert found.tokens[0].get_secret_value() == "first-" + HUSH
    assert run(lambda: Block.load("outer/the-outer")) == found
    for reference in (outer_id, str(outer_id), {"block_document_id": str(outer_id)}, {"block_document_slug": "outer/the-outer"}):
        assert run(lambda reference=reference: Outer.load_from_ref(reference)) == found

    run(lambda: Inner(token="changed-elsewhere").save("the-inner", overwrite=True))
    assert run(lambda: Outer.load("the-outer")).inner.token.get_secret_value() == "changed-elsewhere"
    run(lambda: Outer.delete("the-outer"))
    with pytest.raises(ValueError, match="Unable to find block document named 'the-outer'"):
        run(lambda: Outer.load("the-outer"))


def test_an_unsaved_nested_block_is_part_of_the_document() -> None:
    outer().save("whole")
    assert Outer.load("whole").inner.token.get_secret_value() == HUSH
    assert call(endpoints.COUNT_BLOCK_DOCUMENTS) == 1


@pytest.mark.embedded
def test_secrets_are_nowhere_in_the_files_in_clear(home: Path) -> None:
    block = outer()
    block.inner.save("the-inner")
    block.save("the-outer")
    assert Outer.load("the-outer").inner.token.get_secret_value() == HUSH
    files = [file for file in home.rglob("*") if file.is_file()]
    assert home / "headrace.db" in files
    for file in files:
        content = file.read_bytes()
        assert HUSH.encode() not in content
        assert DEEP.encode() not in content


def test_secrets_do_not_show() -> None:
    block = outer()
    block.save("shown")
    for shown in (repr(block), str(block), str(block.model_dump()), block.model_dump_json(), repr(Outer.load("shown"))):
        assert HUSH not in shown
        assert DEEP not in shown
    assert repr(SecretDict({"a": {"b": DEEP}})) == "SecretDict('{'a': {'b': '**********'}}')"
    with pytest.raises(ValidationError) as raised:
        Inner(token=HUSH, size="not " + HUSH)
    assert HUSH not in str(raised.value)


def test_readers_without_secrets_see_stars_also_in_a_block_of_an_interface_type() -> None:
    CloudCredentials(password=HUSH).save("cloud")
    User(credentials=CloudCredentials.load("cloud")).save("by-reference")
    User(credentials=CloudCredentials(password=DEEP)).save("inline")
    for name in ("by-reference", "inline"):
        document = call(endpoints.READ_BLOCK_DOCUMENT_BY_NAME, slug="user", block_document_name=name)
        assert document.data["credentials"]["password"] == "********"
        loaded = User.load(name)
        assert isinstance(loaded.credentials, CloudCredentials)
    assert User.load("by-reference").credentials.get_client() == HUSH
    assert User.load("inline").credentials.get_client() == DEEP


def test_a_loaded_block_that_hides_nothing_of_a_newer_class_hides_it_as_an_extra() -> None:
    class Changing(Block):
        a: int
        token: SecretStr

    Changing(a=1, token=HUSH).save("c")

    class Older(Block):
        _block_type_name = "Changing"
        a: int

    with pytest.warns(UserWarning, match="saved with another schema"):
        found = Older.load("c")
    assert HUSH not in repr(found)
    assert found.token.get_secret_value() == HUSH


def test_overwrite_keeps_the_id_and_replaces_every_value() -> None:
    first = Cube(edge_length_inches=1, colour="red").save("c")
    with pytest.raises(ValueError, match="'c' exists already"):
        Cube(edge_length_inches=2).save("c")
    assert Cube(edge_length_inches=2).save("c", overwrite=True) == first
    found = Cube.load("c")
    assert found.edge_length_inches == 2
    assert not hasattr(found, "colour")
    found.edge_length_inches = 3
    assert found.save(overwrite=True) == first


@pytest.mark.parametrize("name", ["Bad Name", "UPPER", "under_score", "a/b", "ä"])
def test_a_bad_name_is_refused_before_anything_is_stored(name: str) -> None:
    with pytest.raises(ValidationError):
        Cube(edge_length_inches=1).save(name)
    assert call(endpoints.FILTER_BLOCK_TYPES) == []


def test_a_block_without_a_name_is_not_saved() -> None:
    with pytest.raises(ValueError, match=r"has no name yet. Give one: `save\('my-cube'\)`"):
        Cube(edge_length_inches=1).save()


def test_errors_of_load_say_what_to_do() -> None:
    Cube(edge_length_inches=1).save("rubiks-cube")
    with pytest.raises(ValueError, match=r"needs 'type-slug/document-name', got 'cube'"):
        Block.load("cube")
    with pytest.raises(ValueError, match="Did you mean 'rubiks-cube'"):
        Cube.load("rubik-cube")
    with pytest.raises(ValueError, match="Did you mean 'cube'"):
        Block.load("cubes/rubiks-cube")
    with pytest.raises(ValueError, match=r"is a document of block type 'cube', but Inner is 'inner'"):
        Inner.load("cube/rubiks-cube")
    with pytest.raises(ValueError, match="not a reference to a saved block"):
        Cube.load_from_ref({"id": 3})


def test_a_stored_type_without_a_class_names_near_ones() -> None:
    def fields(slug: str) -> dict[str, Any]:
        return {"title": slug, "type": "object", "properties": {}, "block_type_slug": slug}

    made = call(endpoints.CREATE_BLOCK_TYPE, BlockTypeCreate(name="Cubb", slug="cubb"))
    schema = call(endpoints.CREATE_BLOCK_SCHEMA, BlockSchemaCreate(fields=fields("cubb"), block_type_id=made.id))
    call(endpoints.CREATE_BLOCK_DOCUMENT, BlockDocumentCreate(name="one", block_schema_id=schema.id, block_type_id=made.id))
    with pytest.raises(UnknownBlockType, match="Did you mean 'cube'"):
        Block.load("cubb/one")
    with pytest.raises(UnknownBlockType, match="Import the module that defines it before loading, or install the plugin"):
        Block.load("cubb/one")


def test_a_class_is_found_again_when_a_later_one_of_its_slug_is_gone() -> None:
    class Twice(Block):
        x: int = 1

    def define() -> None:
        class Later(Block):
            _block_type_slug = "twice"

        assert Block.get_block_class_from_key("twice") is Later

    define()
    gc.collect()
    assert Block.get_block_class_from_key("twice") is Twice


def test_a_built_in_type_is_found_in_a_fresh_process(home: Path) -> None:
    Secret(value="abc").save("s")
    script = "from headrace.blocks.core import Block; print(Block.load('secret/s').get())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "abc\n"


# --- changes of a class -------------------------------------------------------------------------------------------------


def test_a_new_required_field_needs_validate_false() -> None:
    class Custom(Block):
        message: str

    Custom(message="Hello!").save("my-message")

    class Newer(Block):
        _block_type_name = "Custom"
        message: str
        number_of_ducks: int
        token: SecretStr
        optional: str = "default"

    with pytest.warns(UserWarning, match="another schema"), pytest.raises(RuntimeError, match=r"'number_of_ducks', 'token'.*`validate=False`"):
        Newer.load("my-message")
    with pytest.warns(UserWarning, match="another schema"):
        found = Newer.load("my-message", validate=False)
    assert (found.message, found.number_of_ducks, found.token, found.optional) == ("Hello!", None, None, "default")
    found.number_of_ducks = 42
    found.token = SecretStr(HUSH)
    found.save("my-message", overwrite=True)
    assert Newer.load("my-message").number_of_ducks == 42


def _types() -> list[Any]:
    """Return the block types of the test: a server brings its own ones, which are protected or built in."""
    from headrace.plugin import get_registry
    from headrace.plugin.offers import Kind

    built_in = {offer.name for offer in get_registry().offers(Kind.BLOCK)}
    return [one for one in call(endpoints.FILTER_BLOCK_TYPES) if one.slug not in built_in]


def _schemas() -> list[Any]:
    mine = {one.id for one in _types()}
    return [one for one in call(endpoints.FILTER_BLOCK_SCHEMAS) if one.block_type_id in mine]


def test_an_optional_field_makes_a_new_schema_and_old_documents_load() -> None:
    class Point(Block):
        x: int

    Point(x=1).save("p")
    Point(x=1).save("p", overwrite=True)
    assert len(_schemas()) == 1

    class Point3(Block):
        _block_type_name = "Point"
        x: int
        z: int = 0

    Point3(x=2).save("q")
    assert len(_schemas()) == 2
    assert len(_types()) == 1
    with pytest.warns(UserWarning, match="another schema"):
        assert Point3.load("p").z == 0


def test_a_type_follows_its_class() -> None:
    class Described(Block):
        """First words."""

    Described.register_type_and_schema()

    class Again(Block):
        """Other words."""

        _block_type_name = "Described"

    Again.register_type_and_schema()
    Again.register_type_and_schema()
    [stored] = _types()
    assert stored.description == "Other words."


@pytest.mark.parametrize("interface", [Block, CredentialsBlock])
def test_an_interface_is_not_registered(interface: type[Block]) -> None:
    with pytest.raises(InvalidBlockRegistration):
        interface.register_type_and_schema()


# --- the schema ----------------------------------------------------------------------------------------------------------


def test_the_schema_is_the_one_that_other_clients_send() -> None:
    class MyBlk(Block):
        """desc"""

        a: int = 1
        tok: SecretStr

    class Holder(Block):
        inner: MyBlk
        n: str = "x"

    part = {
        "block_schema_references": {},
        "block_type_slug": "myblk",
        "description": "desc",
        "properties": {
            "a": {"default": 1, "title": "A", "type": "integer", "position": 0},
            "tok": {"format": "password", "title": "Tok", "type": "string", "writeOnly": True, "position": 1},
        },
        "required": ["tok"],
        "secret_fields": ["tok"],
        "title": "MyBlk",
        "type": "object",
    }
    checksum = "sha256:813947f4bff38c9f1c8cfce80279cc5fa381f485e9730507f38bb9daa189fdc1"
    assert MyBlk.model_json_schema() == part
    assert Holder.model_json_schema() == {
        "block_schema_references": {"inner": {"block_schema_checksum": checksum, "block_type_slug": "myblk"}},
        "block_type_slug": "holder",
        "properties": {"inner": {"$ref": "#/definitions/MyBlk", "position": 0}, "n": {"default": "x", "title": "N", "type": "string", "position": 1}},
        "required": ["inner"],
        "secret_fields": ["inner.tok"],
        "title": "Holder",
        "type": "object",
        "definitions": {"MyBlk": part},
    }
    MyBlk.register_type_and_schema()
    assert call(endpoints.READ_BLOCK_SCHEMA_BY_CHECKSUM, checksum=checksum).fields == part


def test_secret_fields_are_found_wherever_they_are() -> None:
    class Plain(BaseModel):
        hidden: SecretStr
        shown: str

    class Many(Block):
        a: SecretStr | None = None
        b: list[SecretStr] = []
        c: dict[str, SecretStr] = {}
        d: SecretDict | None = None
        e: Plain | None = None
        f: list[Plain] = []
        g: PydanticSecret[dict[str, int]] | None = None
        h: str = ""

    assert Many.model_json_schema()["secret_fields"] == ["a", "b.*", "c.*", "d.*", "e.hidden", "f.*.hidden", "g"]
    block = Many(a=HUSH, b=[HUSH], c={"x": HUSH}, d={"x": [HUSH]}, e=Plain(hidden=HUSH, shown="s"), f=[Plain(hidden=HUSH, shown="t")], g={"x": 1})
    block.save("many")
    seen = call(endpoints.READ_BLOCK_DOCUMENT_BY_NAME, slug="many", block_document_name="many").data
    stars = "********"
    assert seen == {
        "a": stars,
        "b": [stars],
        "c": {"x": stars},
        "d": {"x": [stars]},
        "e": {"hidden": stars, "shown": "s"},
        "f": [{"hidden": stars, "shown": "t"}],
        "g": stars,
        "h": "",
    }
    assert Many.load("many").document_data() == block.document_data()


def test_what_a_class_says_of_itself() -> None:
    class AwsThing(Block):
        """
        Things of AWS.

        Args:
            x: a number

        Example:
            ```python
            AwsThing(x=1)
            ```
        """

        _block_type_name = "AWS Thing 2"
        _block_schema_capabilities = ["fly"]
        _logo_url = "https://example.com/logo.png"
        x: int = 0

    class Child(AwsThing):
        _block_schema_capabilities = ["swim"]

    registration = AwsThing.get_block_registration()
    assert registration.type.model_dump() == {
        "name": "AWS Thing 2",
        "slug": "aws-thing-2",
        "logo_url": "https://example.com/logo.png",
        "documentation_url": None,
        "description": "Things of AWS.",
        "code_example": "```python\nAwsThing(x=1)\n```",
    }
    assert Child.get_block_capabilities() == {"fly", "swim"}
    assert Child.get_block_type_slug() == "child"
    assert Child.get_description() is None
    assert 'Child.load("BLOCK_NAME")' in str(Child.get_code_example())


# --- values -----------------------------------------------------------------------------------------------------------------


def test_block_initialization_runs_once_the_fields_are_there() -> None:
    class Doubling(Block):
        x: int
        doubled: int | None = None

        def block_initialization(self) -> None:
            self.doubled = self.x * 2

    assert Doubling(x=2).doubled == 4
    Doubling(x=3).save("d")
    assert Doubling.load("d").doubled == 6


def test_a_union_of_blocks_is_told_apart_by_slug() -> None:
    class First(Block):
        x: int

    class Second(Block):
        x: int

    class Either(Block):
        one: First | Second

    again = Either.model_validate(Either(one=Second(x=1)).model_dump())
    assert isinstance(again.one, Second)
    with pytest.raises(ValidationError, match=r"are of block type 'second'; 'first' is needed"):
        First.model_validate({"x": 1, "block_type_slug": "second"})


def test_a_reference_stands_for_a_saved_block_in_validation() -> None:
    id = Cube(edge_length_inches=4).save("ref")
    assert Cube.model_validate({"$ref": str(id)}).edge_length_inches == 4
    assert Cube.model_validate({"$ref": {"block_document_slug": "cube/ref"}}).edge_length_inches == 4


def test_the_placeholder_needs_a_saved_block() -> None:
    cube = Cube(edge_length_inches=1)
    with pytest.raises(BlockNotSavedError, match="has not been saved"):
        cube.get_block_placeholder()
    cube.save("placed")
    assert cube.get_block_placeholder() == "headrace.blocks.cube.placed"


@pytest.mark.parametrize("value", ["12", '{"a": 1}', "text", 12, 1.5, True, [1, "a"], {"a": {"b": None}}])
def test_a_secret_is_returned_as_stored(value: Any, run: Run) -> None:
    run(lambda: Secret(value=value).save("s", overwrite=True))
    found = run(lambda: Secret.load("s"))
    assert found.get() == value
    assert type(found.get()) is type(value)


def test_a_parametrised_generic_is_the_same_type() -> None:
    Secret[int](value=3).save("three")
    assert Secret[int].load("three").get() == 3
    Secret(value="x").save("x")
    assert Secret[str].load("x").get() == "x"
    assert len([schema for schema in call(endpoints.FILTER_BLOCK_SCHEMAS) if schema.block_type.slug == "secret"]) == 1


# --- the key ------------------------------------------------------------------------------------------------------------------


def test_the_key_file_is_for_the_owner_alone(home: Path) -> None:
    Secret(value="a").save("s")
    assert stat.S_IMODE((home / "encryption.key").stat().st_mode) == 0o600
    assert len(list(home.glob("encryption.key*"))) == 1


@pytest.mark.embedded
def test_a_missing_key_is_named_and_not_replaced(home: Path) -> None:
    Secret(value="a").save("s")
    os.rename(home / "encryption.key", home / "elsewhere")
    message = r"encryption\.key does not exist\. Put the right key there .*HEADRACE_SERVER_ENCRYPTION_KEY"
    with pytest.raises(EncryptionKeyError, match=message):
        Secret.load("s")
    with pytest.raises(EncryptionKeyError, match=message):
        Secret(value="b").save("t")
    assert not (home / "encryption.key").exists()
    os.rename(home / "elsewhere", home / "encryption.key")
    assert Secret.load("s").get() == "a"


@pytest.mark.embedded
def test_a_wrong_key_is_named(home: Path) -> None:
    from cryptography.fernet import Fernet

    Secret(value="a").save("s")
    with temporary_settings({"HEADRACE_SERVER_ENCRYPTION_KEY": Fernet.generate_key().decode()}):
        message = r"'s' was encrypted with the key [0-9a-f]{8}, but the setting HEADRACE_SERVER_ENCRYPTION_KEY holds"
        with pytest.raises(EncryptionKeyError, match=message):
            Secret.load("s")


@pytest.mark.embedded
def test_a_new_key_beside_the_old_one_reads_both(home: Path) -> None:
    from cryptography.fernet import Fernet

    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with temporary_settings({"HEADRACE_SERVER_ENCRYPTION_KEY": old}):
        Secret(value="a").save("s")
    with temporary_settings({"HEADRACE_SERVER_ENCRYPTION_KEY": f"{new},{old}"}):
        assert Secret.load("s").get() == "a"
        Secret(value="b").save("t")
        Secret.load("s").save(overwrite=True)
    with temporary_settings({"HEADRACE_SERVER_ENCRYPTION_KEY": new}):
        assert (Secret.load("s").get(), Secret.load("t").get()) == ("a", "b")
    assert not (home / "encryption.key").exists()


def test_processes_that_race_for_the_first_key_get_the_same_one(home: Path) -> None:
    script = "import sys; from headrace.blocks.system import Secret; Secret(value=sys.argv[1]).save('s-' + sys.argv[1])"
    racers = [subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(4)]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0, 0]
    assert [Secret.load(f"s-{number}").get() for number in range(4)] == ["0", "1", "2", "3"]


@pytest.mark.embedded
def test_a_damaged_document_says_so(home: Path) -> None:
    Secret(value="a").save("s")
    with sqlite3.connect(home / "headrace.db") as raw:
        raw.execute("UPDATE block_document SET data = substr(data, 1, 60) || 'AAAA' || substr(data, 65)")
    with pytest.raises(EncryptionKeyError, match="Block document 's' is damaged"):
        Secret.load("s")


def test_the_examples_of_the_page_run() -> None:
    page = Path(__file__).parents[2] / "core" / "docs" / "blocks.md"
    examples = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert len(examples) == 4
    names: dict[str, Any] = {"__name__": "page"}
    with pytest.warns(UserWarning, match="another schema"):
        exec(compile("\n".join(examples), str(page), "exec"), names)
    assert names["Custom"].load("my-message").number_of_ducks == 42
    assert names["Warehouse"].load("warehouse").credentials.settings.get_secret_value() == {"mode": "fast"}


def test_blocks_travel_by_pickle_and_copy() -> None:
    block = Inner(token=HUSH)
    block.save("travels")
    for travelled in (pickle.loads(pickle.dumps(block)), block.model_copy(), copy.deepcopy(block)):
        assert travelled == block
        assert travelled.token.get_secret_value() == HUSH
        assert travelled.get_block_placeholder() == "headrace.blocks.inner.travels"


def test_importing_blocks_brings_no_heavy_package() -> None:
    script = (
        "import sys, headrace.blocks.core, headrace.blocks.notifications, headrace.filesystems; "
        "print([name for name in ('sqlalchemy', 'httpx', 'jinja2', 'cryptography', 'fsspec', 'redis') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_copy_holds_nothing_open() -> None:
    class Connected(Block):
        address: str
        _connection: Live[object] = PrivateAttr(default_factory=Live[object])

    block = Connected(address="here")
    connection = block._connection.get(object)
    for made in (copy.copy(block), block.model_copy(update={"address": "there"}), copy.deepcopy(block)):
        assert not made._connection.is_made
        assert made._connection.get(object) is not connection
    assert block._connection.get(object) is connection


def test_blocks_of_a_package_that_imports_its_names_late_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_blocks.py").write_text(
        "from headrace.blocks import core\n"
        "__all__ = ['Late', 'missing']\n"
        "def __getattr__(name):\n"
        "    if name == 'Late':\n"
        "        return type('Late', (core.Block,), {'__module__': __name__})\n"
        "    raise ModuleNotFoundError(name)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [one.__name__ for one in blocks_in_module("late_blocks")] == ["Late"]
