"""For tests of flows: a harness with a database of its own, and comparisons. Documented as `headrace.testing.utilities`."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from headrace.client.connect import current_client, forget_client
from headrace.client.spool import close_process_spool
from headrace.settings import temporary_settings

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun
    from headrace.model.states import State
    from headrace.objects.blocks import Block


@contextmanager
def headrace_test_harness(server_startup_timeout: int | None = None) -> Generator[None, None, None]:
    """Run flows against a temporary home and database while the block lasts; harnesses nest.

    Nothing is started, so it takes milliseconds and `server_startup_timeout` has nothing to wait for; it is accepted because tests pass it. The
    user's home is never touched, and what runs in the block is not seen outside.

        with headrace_test_harness():
            assert my_flow() == "Done!"
    """
    with TemporaryDirectory(prefix="headrace-test-") as folder, home_at(Path(folder)):
        yield


@contextmanager
def home_at(home: Path) -> Generator[None, None, None]:
    """Use `home` and a database in it while the block lasts, in this process."""
    with ExitStack() as undo:
        close_process_spool()  # what ran before belongs to the home before
        undo.enter_context(
            temporary_settings(
                {
                    "HEADRACE_HOME": str(home),
                    "HEADRACE_API_DATABASE_CONNECTION_URL": f"sqlite:///{home / 'headrace.db'}",
                    "HEADRACE_RESULTS_LOCAL_STORAGE_PATH": str(home / "storage"),
                },
                restore_defaults=["HEADRACE_API_URL"],
            )
        )
        try:
            yield
        finally:
            close_process_spool()
            forget_client()


def exceptions_equal(a: BaseException | None, b: BaseException | None) -> bool:
    """Say whether two exceptions are of one type and were made with the same arguments: all that survives pickling."""
    if a is None or b is None:
        return a is b
    return type(a) is type(b) and a.args == b.args


def kubernetes_environments_equal(actual: list[dict[str, str]], expected: list[dict[str, str]] | dict[str, str]) -> bool:
    """Say whether two lists of `{"name": …, "value": …}` hold the same variables in whatever order; `expected` may be a mapping."""
    wanted = [{"name": name, "value": value} for name, value in expected.items()] if isinstance(expected, dict) else expected

    def ordered(variables: list[dict[str, str]]) -> list[dict[str, str]]:
        return sorted(variables, key=lambda one: one["name"])

    return ordered(actual) == ordered(wanted)


@contextmanager
def assert_does_not_warn(ignore_warnings: list[type[Warning]] | None = None) -> Generator[None, None, None]:
    """Fail when the block warns, other than with the types to ignore."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ignore_warnings or ():
            warnings.filterwarnings("ignore", category=kind)
        try:
            yield
        except Warning as warning:
            raise AssertionError(f"Warning was raised: {warning!r}") from warning


async def get_most_recent_flow_run(client: Any = None, flow_name: str | None = None) -> FlowRun:
    """Return the flow run that was created last, of one flow if named. Raises `ValueError` when there is none.

    `client` is the one to ask, as `get_client()` gives it; default: the one in force.
    """
    from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
    from headrace.model.run_queries import FlowRunQuery

    flows: dict[str, Any] | None = {"name": {"any_": [flow_name]}} if flow_name is not None else None
    query = FlowRunQuery.model_validate({"flows": flows, "sort": "ID_DESC", "limit": 1})  # ids sort by the time they were made
    found = await current_client().call(FILTER_FLOW_RUNS, query)
    if not found:
        raise ValueError(f"There is no flow run{f' of the flow {flow_name!r}' if flow_name else ''}.")
    return found[0]


def assert_blocks_equal(found: Block, expected: Block, exclude_private: bool = True, **kwargs: Any) -> None:
    """Fail unless two blocks are of one class and hold the same values. What only a saved block knows of itself is not compared
    unless `exclude_private=False`; other keywords go to `model_dump`."""
    assert type(found) is type(expected), f"Unexpected type {type(found).__name__}, expected {type(expected).__name__}"
    assert found.model_dump(**kwargs) == expected.model_dump(**kwargs)
    if not exclude_private:
        assert found.__pydantic_private__ == expected.__pydantic_private__


async def assert_uses_result_serializer(state: State, serializer: Any, client: Any = None) -> None:
    """Fail unless the state's result was written with this serializer (or the type named)."""
    wanted = serializer if isinstance(serializer, str) else serializer.type
    used = _metadata(state).serializer_values["type"]
    assert used == wanted, f"The result was written with serializer {used!r}, not {wanted!r}."


async def assert_uses_result_storage(state: State, storage: Any, client: Any = None) -> None:
    """Fail unless the state's result was written to this storage: a saved block, or "block-type/name"."""
    from headrace.objects.blocks import Block

    block = await Block.aload(storage) if isinstance(storage, str) else storage
    used = _metadata(state).storage_block_id
    wanted = block._block_document_id  # pyright: ignore[reportPrivateUsage]  # a saved block has no public name for its id
    assert used == wanted, f"The result was written to the storage block {used}, not {wanted}."


def _metadata(state: State) -> Any:
    from headrace.data.records import ResultRecord, ResultRecordMetadata

    data = state.data
    if isinstance(data, ResultRecord):
        return data.metadata  # pyright: ignore[reportUnknownMemberType]  # a user's value
    assert isinstance(data, dict), f"The state {state!r} refers to no stored result."
    return ResultRecordMetadata.model_validate(data)  # pyright: ignore[reportUnknownArgumentType]  # a user's value


def a_test_step(**kwargs: Any) -> dict[str, Any]:
    """Return an output of a deployment step, `{"output1": "a-test-value", "output2": […]}`, beside what it was given."""
    return {"output1": "a-test-value", "output2": ["b", "2", "3"], **kwargs}


def b_test_step(**kwargs: Any) -> dict[str, Any]:
    """Return an output of another deployment step, beside what it was given."""
    return {"output1": "b-test-value", **kwargs}


__all__ = [
    "a_test_step",
    "assert_blocks_equal",
    "assert_does_not_warn",
    "assert_uses_result_serializer",
    "assert_uses_result_storage",
    "b_test_step",
    "exceptions_equal",
    "get_most_recent_flow_run",
    "headrace_test_harness",
    "kubernetes_environments_equal",
]
