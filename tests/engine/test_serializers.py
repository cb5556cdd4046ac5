"""Serializers: what they keep, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from headrace.serializers import (
    CompressedJSONSerializer,
    CompressedPickleSerializer,
    CompressedSerializer,
    JSONSerializer,
    PickleSerializer,
    Serializer,
)


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    x: int
    when: date


class Login(BaseModel):
    user: str
    password: SecretStr


@dataclass
class Point:
    x: int
    y: int


VALUES: list[Any] = [
    None,
    [1, "two", 3.5, True, None],
    {"nested": {"a": [1, 2]}},
    datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    date(2024, 1, 2),
    timedelta(seconds=90),
    UUID("12345678123456781234567812345678"),
    Decimal("1.50"),
    Path("a/b"),
    {1, 2, 3},
    frozenset({UUID("12345678123456781234567812345678")}),
    b"\x00\xff",
    Colour.RED,
    Model(x=1, when=date(2024, 1, 1)),
    Point(1, 2),
    {"points": [Point(1, 2), Point(3, 4)]},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("kind", ["json", "pickle", "compressed/json", "compressed/pickle"])
def test_value_comes_back_equal(kind: str, value: Any) -> None:
    serializer = Serializer(type=kind)
    blob = serializer.dumps(value)
    blob.decode()  # text, as results are stored in JSON documents
    back = serializer.loads(blob)
    assert back == value
    assert type(back) is type(value)


def test_type_makes_the_serializer_of_that_type() -> None:
    assert type(Serializer(type="json")) is JSONSerializer
    assert type(Serializer(type="compressed/pickle")) is CompressedPickleSerializer
    assert type(Serializer(type="compressed/json")) is CompressedJSONSerializer


def test_unknown_type_lists_near_names() -> None:
    with pytest.raises(ValidationError, match="No serializer has the type 'nope'. Known are: .*json.*pickle"):
        Serializer(type="nope")
    with pytest.raises(ValidationError, match="Did you mean 'pickle'"):
        Serializer(type="pickel")


def test_subclass_is_known_by_its_type() -> None:
    class Shouting(Serializer):
        type: str = "shouting"

        def dumps(self, obj: str) -> bytes:
            return obj.upper().encode()

        def loads(self, blob: bytes) -> str:
            return blob.decode()

    assert Serializer(type="shouting").dumps("hi") == b"HI"
    assert CompressedSerializer(serializer="shouting").loads(CompressedSerializer(serializer="shouting").dumps("hi")) == "HI"


def test_exception_keeps_type_and_message_in_json() -> None:
    serializer = JSONSerializer()
    blob = serializer.dumps(ValueError("bad"))
    assert json.loads(blob) == {"__exc_type__": "builtins.ValueError", "message": "bad"}
    back = serializer.loads(blob)
    assert isinstance(back, ValueError)
    assert str(back) == "bad"


@pytest.mark.parametrize(
    "document",
    [
        {"__class__": "subprocess.Popen", "data": ["true"]},
        {"__class__": "os.system", "data": "true"},
        {"__exc_type__": "subprocess.Popen", "message": "true"},
        {"__exc_type__": "os.system", "message": "true"},
    ],
)
def test_json_makes_nothing_that_it_could_not_have_written(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Refused"):
        JSONSerializer().loads(json.dumps(document).encode())


def test_dictionary_that_looks_like_one_of_ours_in_part_stays_a_dictionary() -> None:
    value = {"__class__": "3b", "pupils": 20}
    assert JSONSerializer().loads(JSONSerializer().dumps(value)) == value


def test_secret_is_neither_shown_nor_lost() -> None:
    value = Login(user="me", password=SecretStr("hunter2"))
    with pytest.raises(TypeError, match="Login is not JSON serializable: it holds a secret"):
        JSONSerializer().dumps([value])
    assert PickleSerializer().loads(PickleSerializer().dumps(value)) == value


def test_class_that_could_not_be_found_again_is_refused_when_writing() -> None:
    @dataclass
    class Local:
        x: int

    with pytest.raises(TypeError, match="cannot be imported when it is read"):
        JSONSerializer().dumps(Local(1))
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        JSONSerializer().dumps(object())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PickleSerializer(picklelib="no_such_library"), "Failed to import the library 'no_such_library'"),
        (lambda: PickleSerializer(picklelib="math"), "does not have a `dumps` function"),
        (lambda: CompressedSerializer(serializer="json", compressionlib="math"), "does not have a `compress` function"),
        (lambda: JSONSerializer(dumps_kwargs={"default": str}), "`default` cannot be provided. Use `object_encoder`"),
        (lambda: JSONSerializer(loads_kwargs={"object_hook": str}), "`object_hook` cannot be provided. Use `object_decoder`"),
        (lambda: JSONSerializer(nonsense=1), "Extra inputs are not permitted"),
    ],
)
def test_wrong_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()


def test_other_libraries_are_used() -> None:
    assert PickleSerializer(picklelib="pickle").loads(PickleSerializer(picklelib="pickle").dumps({1})) == {1}


@pytest.mark.parametrize("library", ["lzma", "zlib", "bz2", "gzip"])
def test_level_reaches_every_compression_library(library: str) -> None:
    value = "a long text " * 1000
    serializer = CompressedSerializer(serializer="json", compressionlib=library, level=1)
    assert serializer.loads(serializer.dumps(value)) == value
    assert len(serializer.dumps(value)) < 2000


def test_failing_load_says_which_version_pickled() -> None:
    with pytest.raises(Exception, match=".") as caught:
        PickleSerializer(picklelib_version="0.1").loads(b"bm90IGEgcGlja2xl")
    assert any("pickled with cloudpickle 0.1" in note for note in caught.value.__notes__)


def test_stored_values_make_an_equal_serializer() -> None:
    serializer = CompressedSerializer(serializer=JSONSerializer(dumps_kwargs={"indent": 2}), compressionlib="zlib")
    assert Serializer.model_validate(serializer.stored_values()) == serializer
