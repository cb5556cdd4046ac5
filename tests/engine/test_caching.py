"""Cache policies: which runs have one key, how policies combine, and what the keys are made of."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, SecretStr, model_serializer

from headrace.cache_policies import (
    DEEP_SOURCE,
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    NONE,
    RUN_ID,
    TASK_SOURCE,
    VERSION,
    CacheKeyFnPolicy,
    CachePolicy,
    CompoundCachePolicy,
    Inputs,
)
from headrace.data.caching import cache_key, effective_policy
from headrace.data.storage import file_name
from headrace.locking.filesystem import FileSystemLockManager
from headrace.locking.memory import MemoryLockManager
from headrace.model.errors import HashError
from headrace.transactions import IsolationLevel
from headrace.utilities.hashing import hash_objects


def context(source: str = "def t(): ...", flow_run_id: Any = UUID(int=1), fn: Any = None) -> Any:
    run = SimpleNamespace(id=UUID(int=2), flow_run_id=flow_run_id)
    return SimpleNamespace(task=SimpleNamespace(source_code=source, fn=fn, name="t", task_key="t-1"), task_run=run)


def key(policy: CachePolicy, inputs: dict[str, Any] | None = None, ctx: Any = None, flow_parameters: dict[str, Any] | None = None) -> str | None:
    return policy.compute_key(ctx or context(), inputs or {}, flow_parameters or {})


# --- single policies -----------------------------------------------------------------------------------------------------


def test_inputs_follow_values_and_names() -> None:
    assert key(INPUTS, {"x": 1}) == key(INPUTS, {"x": 1})
    assert key(INPUTS, {"x": 1}) != key(INPUTS, {"x": 2})
    assert key(INPUTS, {"x": 1}) != key(INPUTS, {"y": 1})
    assert key(INPUTS, {"x": 1, "y": 2}) == key(INPUTS, {"y": 2, "x": 1})
    assert key(INPUTS) is None


def test_excluded_inputs_do_not_count() -> None:
    policy = INPUTS - "debug"
    assert key(policy, {"x": 1, "debug": True}) == key(policy, {"x": 1, "debug": False})
    assert key(policy, {"x": 1, "debug": True}) != key(policy, {"x": 2, "debug": True})
    assert key(INPUTS, {"x": 1, "debug": True}) != key(policy, {"x": 1, "debug": True})


def test_source_follows_the_text_of_the_task() -> None:
    assert key(TASK_SOURCE, ctx=context("a")) != key(TASK_SOURCE, ctx=context("b"))
    assert TASK_SOURCE.compute_key(None, {}, {}) is None  # type: ignore[arg-type]  # outside a run


def test_source_falls_back_to_compiled_code() -> None:
    namespace: dict[str, Any] = {}
    exec("def one(): return 1\ndef two(): return 2", namespace)
    first, second = (context(None, fn=namespace[name]) for name in ("one", "two"))  # type: ignore[arg-type]
    assert key(TASK_SOURCE, ctx=first) not in (None, key(TASK_SOURCE, ctx=second))


def test_run_id_is_that_of_the_flow_run_or_else_of_the_task_run() -> None:
    assert key(RUN_ID) == str(UUID(int=1))
    assert key(RUN_ID, ctx=context(flow_run_id=None)) == str(UUID(int=2))


def test_flow_parameters_count_where_there_are_any() -> None:
    assert key(FLOW_PARAMETERS, flow_parameters={"a": 1}) != key(FLOW_PARAMETERS, flow_parameters={"a": 2})
    assert key(FLOW_PARAMETERS) is None


def test_key_function_has_the_last_word() -> None:
    policy = CachePolicy.from_cache_key_fn(lambda ctx, parameters: f"{ctx.task.name}-{parameters['x']}")
    assert key(policy, {"x": 5}) == "t-5"
    assert key(CacheKeyFnPolicy(cache_key_fn=lambda ctx, parameters: None)) is None


def test_no_cache_has_no_key() -> None:
    assert key(NO_CACHE, {"x": 1}) is None
    assert NO_CACHE.is_no_cache
    assert NONE.is_no_cache


def test_version_tells_generations_apart() -> None:
    assert key(VERSION("1")) == key(VERSION("1"))
    assert key(VERSION("1")) != key(VERSION("2"))
    assert key(INPUTS + VERSION("1"), {"x": 1}) != key(INPUTS + VERSION("2"), {"x": 1})


# --- sums ----------------------------------------------------------------------------------------------------------------


def test_order_and_grouping_do_not_matter() -> None:
    parts = [INPUTS, TASK_SOURCE, RUN_ID]
    keys = {key(one + two + three, {"x": 1}) for one, two, three in permutations(parts)}
    keys |= {key(one + (two + three), {"x": 1}) for one, two, three in permutations(parts)}
    assert len(keys) == 1
    assert keys == {key(DEFAULT, {"x": 1})}


def test_parts_without_a_key_do_not_count() -> None:
    assert key(FLOW_PARAMETERS + RUN_ID) == key(CompoundCachePolicy(policies=[RUN_ID]))
    assert key(FLOW_PARAMETERS + INPUTS) is None


def test_no_cache_adds_nothing() -> None:
    assert INPUTS + NO_CACHE is INPUTS
    assert NO_CACHE + INPUTS is INPUTS


@pytest.mark.parametrize(
    ("option", "one", "two"),
    [
        ("key_storage", Path("a"), Path("b")),
        ("isolation_level", "SERIALIZABLE", "READ_COMMITTED"),
        ("lock_manager", MemoryLockManager(), FileSystemLockManager(Path("x"))),
    ],
)
def test_sum_of_different_configurations_is_refused(option: str, one: Any, two: Any) -> None:
    with pytest.raises(ValueError, match=f"different {option.replace('_', ' ')}s"):
        _ = INPUTS.configure(**{option: one}) + TASK_SOURCE.configure(**{option: two})


def test_configuration_survives_sums_and_subtractions() -> None:
    locks = MemoryLockManager()
    configured: list[CachePolicy] = [
        INPUTS.configure(lock_manager=locks, isolation_level="SERIALIZABLE", key_storage=Path("k")),
        (INPUTS + TASK_SOURCE).configure(lock_manager=locks, isolation_level="SERIALIZABLE", key_storage=Path("k")),
        INPUTS.configure(lock_manager=locks) + TASK_SOURCE.configure(isolation_level="SERIALIZABLE", key_storage=Path("k")),
    ]
    for policy in configured:
        changed = policy - "debug"
        for one in (policy, changed):
            assert (one.lock_manager, one.isolation_level, one.key_storage) == (locks, IsolationLevel.SERIALIZABLE, Path("k"))
        assert key(changed, {"x": 1, "debug": 1}) == key(changed, {"x": 1, "debug": 2})
    assert INPUTS.lock_manager is None
    assert INPUTS.exclude == []


def test_subtraction_reaches_inputs_alone() -> None:
    policy = DEFAULT - "debug"
    assert key(policy, {"x": 1, "debug": 1}) == key(policy, {"x": 1, "debug": 2})
    assert TASK_SOURCE - "debug" is TASK_SOURCE
    for one in (INPUTS, DEFAULT, TASK_SOURCE):
        with pytest.raises(TypeError, match="names of inputs"):
            _ = one - 1  # type: ignore[operator]


def test_own_policies_are_classes_with_compute_key() -> None:
    @dataclass
    class Weekly(CachePolicy):
        week: int = 0

        def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str | None:
            return f"week {self.week}"

    assert key(Weekly(week=3)) == "week 3"
    assert key(Weekly(week=3) + INPUTS, {"x": 1}) != key(Weekly(week=4) + INPUTS, {"x": 1})


# --- hashing -------------------------------------------------------------------------------------------------------------


class NoPickle:
    def __getstate__(self) -> Any:
        raise TypeError("I will not be serialized!")


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: str
    bad: NoPickle


class Named(Holder):
    @model_serializer
    def by_name(self) -> dict[str, Any]:
        return {"name": self.name}


def test_input_that_cannot_be_hashed_is_named() -> None:
    with pytest.raises(HashError, match=r"Inputs 'thing' cannot be hashed .* `INPUTS - 'thing'`"):
        key(INPUTS, {"x": 1, "thing": Holder(name="a", bad=NoPickle())})


def test_models_are_hashed_as_they_serialize() -> None:
    assert key(INPUTS, {"o": Named(name="a", bad=NoPickle())}) == key(INPUTS, {"o": Named(name="a", bad=NoPickle())})
    assert key(INPUTS, {"o": Named(name="a", bad=NoPickle())}) != key(INPUTS, {"o": Named(name="b", bad=NoPickle())})


class Login(BaseModel):
    password: SecretStr


def test_inputs_that_differ_in_a_secret_have_different_keys() -> None:
    one, two = (Login(password=SecretStr(text)) for text in ("one", "two"))
    assert key(INPUTS, {"login": one}) == key(INPUTS, {"login": one.model_copy()})
    assert key(INPUTS, {"login": one}) != key(INPUTS, {"login": two})


def test_hashes_are_the_same_in_every_process() -> None:
    code = "from headrace.utilities.hashing import hash_objects\nprint(hash_objects({'b': {'x', 'y', 'z', 'w'}, 'a': (1, 2.5, None)}))"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout.strip()
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] == hash_objects({"a": (1, 2.5, None), "b": {"w", "z", "y", "x"}})


def test_what_has_no_json_form_is_pickled() -> None:
    assert hash_objects(test_what_has_no_json_form_is_pickled) is not None
    assert hash_objects(NoPickle()) is None
    with pytest.raises(HashError):
        hash_objects(NoPickle(), raise_on_failure=True)


# --- keys as file names --------------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_key_becomes_the_name_of_one_file(text: str) -> None:
    name = file_name(text)
    assert len(name.encode(errors="surrogatepass")) <= 255
    assert not set(name) & set('/\\:*?"<>|')
    assert name not in (".", "..")
    assert not any(ord(char) < 32 for char in name)


@given(st.text(max_size=250), st.text(max_size=250))
def test_two_keys_never_share_a_file(one: str, two: str) -> None:
    assert (file_name(one) == file_name(two)) is (one == two)


def test_ordinary_keys_stay_as_they_are() -> None:
    assert file_name("static cache key") == "static cache key"
    assert file_name("a1b2-c3_d4.json") == "a1b2-c3_d4.json"
    assert file_name("../../etc/passwd") == "%2E.%2F..%2Fetc%2Fpasswd"


# --- what the engine asks ------------------------------------------------------------------------------------------------


def test_key_that_cannot_be_computed_is_warned_of_once() -> None:
    warnings: list[str] = []

    def warn(message: str, *values: Any) -> None:
        warnings.append(message % values)

    for _ in range(3):
        assert cache_key(INPUTS, context(), {"lock": NoPickle()}, {}, warn) is None
    assert len(warnings) == 1
    assert "Task 't' is neither cached nor its result kept" in warnings[0]
    assert "'lock'" in warnings[0]


def test_keys_of_users_functions_are_made_safe() -> None:
    policy = CachePolicy.from_cache_key_fn(lambda ctx, parameters: "../secret")
    assert cache_key(policy, context(), {}, {}, print) == "%2E.%2Fsecret"


@pytest.mark.parametrize(
    ("options", "settings", "expected"),
    [
        ({}, {}, DEFAULT),
        ({"given": INPUTS}, {}, INPUTS),
        ({"given": None}, {}, NO_CACHE),
        ({}, {"HEADRACE_TASKS_DEFAULT_NO_CACHE": True}, NO_CACHE),
        ({"given": INPUTS}, {"HEADRACE_TASKS_DEFAULT_NO_CACHE": True}, INPUTS),
        ({"given": INPUTS}, {"HEADRACE_TASKS_DISABLE_CACHING": True}, NO_CACHE),
        ({"given": INPUTS, "result_storage_key": "k"}, {}, NO_CACHE),
        ({"persist_result": False}, {}, NO_CACHE),
    ],
)
def test_policy_of_a_task_is_decided_in_order(options: dict[str, Any], settings: Any, expected: CachePolicy) -> None:
    from headrace.settings import temporary_settings
    from headrace.utilities.annotations import NotSet

    given = options.pop("given", NotSet)
    task = SimpleNamespace(**{"result_storage_key": None, "cache_key_fn": None, "persist_result": None, **options})
    with temporary_settings(settings):
        assert effective_policy(task, given) == expected


def test_key_function_wins_over_a_policy() -> None:
    fn = lambda ctx, parameters: "k"
    task = SimpleNamespace(result_storage_key=None, cache_key_fn=fn, persist_result=None)
    assert effective_policy(task, INPUTS) == CacheKeyFnPolicy(cache_key_fn=fn)


# --- deep source ---------------------------------------------------------------------------------------------------------

MODULE = """
FACTOR = {factor}

class Scale:
    def apply(self, x):
        return x * FACTOR

def helper(x):
    return Scale().apply(x){extra}

def unused():
    return {unused}

def make(offset):
    def task(x):
        return [helper(y) + offset for y in x]
    return task
"""


def deep_key(folder: Path, offset: int = 0, factor: int = 1, extra: str = "", unused: int = 0) -> str | None:
    from headrace.utilities.importtools import load_script_as_module

    path = folder / f"module_{factor}_{len(extra)}_{unused}.py"
    path.write_text(MODULE.format(factor=factor, extra=extra, unused=unused))
    module = load_script_as_module(str(path))
    return key(DEEP_SOURCE, ctx=context("same text", fn=module.make(offset)))


def test_deep_source_follows_helpers_constants_and_closures(tmp_path: Path) -> None:
    base = deep_key(tmp_path)
    assert base == deep_key(tmp_path, unused=9)
    assert base != deep_key(tmp_path, factor=2)
    assert base != deep_key(tmp_path, extra=" + 1")
    assert base != deep_key(tmp_path, offset=1)


def test_policies_are_plain_values() -> None:
    assert Inputs(exclude=["a"]) == INPUTS - "a"
    assert INPUTS != TASK_SOURCE
