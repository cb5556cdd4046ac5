"""What blocks that hold credentials are written with."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import PrivateAttr, SecretBytes, SecretStr

from headrace import flow
from headrace.blocks.core import Block
from headrace.blocks.credentials import Live, hidden, is_secret_name, revealed, secrets_of
from headrace.blocks.fields import SecretDict
from headrace.utilities.asyncutils import twins

TOKEN = "s3/cr et+tok"


class Client:
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.lock = threading.Lock()  # cannot be pickled


class Keys(Block):
    """Keys to something."""

    user: str = "me"
    token: SecretStr = SecretStr(TOKEN)
    more: SecretDict = SecretDict({"deep": {"pin": "0000-1111"}})
    blob: SecretBytes = SecretBytes(b"binary-secret")

    _client: Live[Client] = PrivateAttr(default_factory=Live[Client])

    def get_client(self) -> Client:
        return self._client.get(Client)


class Holder(Block):
    """Something that is opened with keys."""

    keys: Keys = Keys()

    def double(self, number: int) -> tuple[int, str]:
        """Return twice the number, and the thread."""
        return 2 * number, threading.current_thread().name

    double, adouble = twins(double)

    def redouble(self, number: int) -> int:
        """Return four times the number, by another method that has twins."""
        return self.double(self.double(number)[0])[0]

    redouble, aredouble = twins(redouble)


def test_a_client_is_made_once_by_all_threads() -> None:
    before, keys = Client.made, Keys()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: keys.get_client(), range(50)))) == 1
    assert Client.made == before + 1


@pytest.mark.parametrize("copied", [lambda keys: pickle.loads(pickle.dumps(keys)), copy.deepcopy, lambda keys: keys.model_copy(deep=True)])
def test_copies_are_equal_and_make_their_own(copied: Any) -> None:
    keys = Keys()
    client = keys.get_client()
    again = copied(keys)
    assert again == keys
    assert again.get_client() is not client
    assert keys.get_client() is client


def test_what_is_dropped_is_made_again() -> None:
    keys = Keys()
    client = keys.get_client()
    assert keys._client.drop() is client
    assert keys._client.drop() is None
    assert keys.get_client() is not client


def test_a_forked_process_makes_its_own() -> None:
    keys = Keys()
    keys.get_client()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"0" if keys._client.is_made else b"1")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1) == b"1"


def test_secrets_are_found_at_any_depth() -> None:
    assert secrets_of(Holder()) == sorted([TOKEN, "0000-1111", "binary-secret"], key=len, reverse=True)
    assert secrets_of("plain", SecretStr("hidden")) == ["hidden", "plain"]


@pytest.mark.parametrize(
    "form", [TOKEN, quote(TOKEN), quote(TOKEN, safe=""), b64encode(TOKEN.encode()).decode(), f"https://me:{quote(TOKEN)}@host/x"]
)
def test_every_form_of_a_secret_is_hidden(form: str) -> None:
    text = hidden(f"could not open <{form}> today", Holder())
    assert text.startswith("could not open <") and text.endswith("> today")
    assert form not in text and TOKEN not in text


def test_logins_in_addresses_are_hidden_whosever_they_are() -> None:
    assert hidden("see https://a:b@host/path and https://host/c@d") == "see https://********@host/path and https://host/c@d"


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("HEADRACE_API_KEY", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("DB_PASSWORD", True),
        ("HEADRACE_API_URL", False),
        ("KEYBOARD", False),
        ("PATH", False),
    ],
)
def test_names_tell_of_secrets(name: str, is_secret: bool) -> None:
    assert is_secret_name(name) is is_secret


def test_values_are_revealed() -> None:
    keys = Keys()
    assert [revealed(value) for value in (keys.token, keys.blob, keys.user, None)] == [TOKEN, b"binary-secret", "me", None]
    assert revealed(keys.more) == {"deep": {"pin": "0000-1111"}}


def test_one_method_serves_blocking_and_async_callers() -> None:
    holder = Holder()
    here = threading.current_thread().name

    async def work() -> list[tuple[int, str]]:
        return [await holder.adouble(2), await holder.double(3)]  # pyright: ignore[reportGeneralTypeIssues]  # awaited where a loop runs

    assert holder.double(1) == (2, here)
    found = asyncio.run(work())
    assert [number for number, _ in found] == [4, 6]
    assert here not in [thread for _, thread in found]
    assert Holder.adouble.__name__ == "adouble"
    assert Holder.double.__doc__ == "Return twice the number, and the thread."


def test_methods_that_block_may_use_each_other_in_an_async_flow() -> None:
    @flow
    async def work() -> int:
        return await Holder().aredouble(1)

    assert asyncio.run(work()) == 4
