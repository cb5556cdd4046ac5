"""Placeholders and what takes their place."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.blocks.system import Secret
from headrace.utilities.annotations import NotSet
from headrace.utilities.templating import (
    PlaceholderType,
    apply_values,
    determine_placeholder_type,
    find_placeholders,
    resolve_block_document_references,
    resolve_variables,
)
from headrace.variables import Variable


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ name }}", "x"),
        ("{{name}}", "x"),
        ("a {{ name }} b {{ number }}", "a x b 3"),
        ("{{ number }}", 3),
        ("{{ nested.list[1] }}", "second"),
        ("{{ nested }}", {"list": ["first", "second"]}),
        ({"a": "{{ number }}", "b": ["{{ name }}", 1, None]}, {"a": 3, "b": ["x", 1, None]}),
        ("no placeholder", "no placeholder"),
        ("{{ not a name }}", "{{ not a name }}"),
        (7, 7),
        ({"kept": 1, "gone": "{{ unknown }}"}, {"kept": 1}),
        (["{{ unknown }}", 1], [1]),
        ("a {{ unknown }} b", "a  b"),
        ("{{ unknown }}", NotSet),
        ("{{ prefect.blocks.secret.x }}", "{{ prefect.blocks.secret.x }}"),
        ("{{ prefect.variables.x }}", "{{ prefect.variables.x }}"),
    ],
)
def test_values_take_the_place_of_placeholders(template: Any, expected: Any) -> None:
    assert apply_values(template, {"name": "x", "number": 3, "nested": {"list": ["first", "second"]}}) == expected


def test_what_is_not_set_can_be_kept() -> None:
    template = {"a": "{{ unknown }}", "b": "text {{ unknown }}"}
    assert apply_values(template, {}, remove_notset=False) == template


def test_prefixes_can_be_skipped() -> None:
    assert apply_values({"name": "{{ ctx.flow.name }}", "x": "{{ x }}"}, {"x": 1}, skip_prefixes=["ctx."]) == {"name": "{{ ctx.flow.name }}", "x": 1}


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PLACE", "here {{ name }}")
    monkeypatch.delenv("NO_SUCH_PLACE", raising=False)
    assert apply_values({"a": "{{ $SOME_PLACE }}!", "b": "{{ $NO_SUCH_PLACE }}"}, {"name": "x"}) == {"a": "here {{ name }}!"}


def test_value_is_not_looked_through_again() -> None:
    assert apply_values("{{ a }}", {"a": "{{ b }}", "b": "secret"}) == "{{ b }}"
    assert apply_values("<{{ a }}>", {"a": "{{ a }}{{ a }}"}) == "<{{ a }}{{ a }}>"


def test_missing_value_can_be_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    apply_values("{{ imgae }}", {"image": "x"}, warn_on_notset=True)
    assert "{{ imgae }}" in caplog.text
    assert "image" in caplog.text


def test_template_that_holds_itself_is_refused() -> None:
    template: dict[str, Any] = {"a": "{{ x }}"}
    template["self"] = template
    with pytest.raises(ValueError, match="circular"):
        apply_values(template, {"x": 1})
    with pytest.raises(ValueError, match="circular"):
        find_placeholders(template)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.y", PlaceholderType.STANDARD),
        ("$HOME", PlaceholderType.ENV_VAR),
        ("prefect.blocks.secret.x", PlaceholderType.BLOCK_DOCUMENT),
        ("headrace.blocks.secret.x", PlaceholderType.BLOCK_DOCUMENT),
        ("prefect.variables.x", PlaceholderType.VARIABLE),
        ("headrace.variables.x", PlaceholderType.VARIABLE),
    ],
)
def test_kind_of_placeholder_is_in_its_name(name: str, kind: PlaceholderType) -> None:
    assert determine_placeholder_type(name) is kind
    assert {(one.full_match, one.name, one.type) for one in find_placeholders([{"k": f"a {{{{ {name} }}}}"}])} == {(f"{{{{ {name} }}}}", name, kind)}


@given(st.text(), st.text())
def test_whole_value_keeps_any_text(before: str, value: str) -> None:
    assert apply_values(["{{ v }}"], {"v": value}) == [value]
    assert apply_values(before.replace("{", "") + "-{{ v }}", {"v": value}) == before.replace("{", "") + "-" + value


# --- stored things


@pytest.fixture
def stored(client: str) -> None:
    Secret(value="hush").save("plain")
    Secret[dict[str, Any]](value={"key": {"nested": "inner"}, "list": [{"of": "lists"}, 1]}).save("deep")
    Variable.set("replicas", 3)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("root", ["prefect", "headrace"])
def test_blocks_are_looked_up(root: str) -> None:
    blocks = f"{root}.blocks.secret"
    template = {
        "whole": f"{{{{ {blocks}.plain }}}}",
        "named": f"{{{{ {blocks}.plain.value }}}}",
        "text": f"token {{{{ {blocks}.plain }}}}",
        "object": f"{{{{ {blocks}.deep.value.key }}}}",
        "short": f"{{{{ {blocks}.deep.key.nested }}}}",
        "item": f"{{{{ {blocks}.deep.value.list[0].of }}}}",
        "other": "{{ build.image }}",
    }
    assert resolve_block_document_references(template) == {
        "whole": "hush",
        "named": "hush",
        "text": "token hush",
        "object": {"nested": "inner"},
        "short": "inner",
        "item": "lists",
        "other": "{{ build.image }}",
    }


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("secret.plian", "no block secret/plian.*plain"),
        ("nothing.plain", "no block nothing/plain"),
        ("secret", "does not say which block"),
        ("secret.plain.valeu", "nothing at 'valeu'"),
    ],
)
def test_missing_block_is_named(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_block_document_references({"a": f"{{{{ prefect.blocks.{name} }}}}"})


@pytest.mark.usefixtures("stored")
def test_object_within_text_is_refused() -> None:
    with pytest.raises(ValueError, match="object, so it cannot stand within other text"):
        resolve_block_document_references("a {{ prefect.blocks.secret.deep }}")


def test_reference_becomes_the_data(client: str) -> None:
    id: UUID = Secret(value="hush {{ $HOME }}").save("plain")
    template = {"creds": {"$ref": {"block_document_id": str(id)}}, "again": [{"$ref": {"block_document_id": str(id)}}]}
    assert resolve_block_document_references(template) == {"creds": {"value": "hush {{ $HOME }}"}, "again": [{"value": "hush {{ $HOME }}"}]}


@pytest.mark.usefixtures("stored")
def test_found_values_can_be_transformed() -> None:
    seen = resolve_block_document_references("{{ prefect.blocks.secret.plain }}", value_transformer=lambda placeholder, value: (placeholder, value))
    assert seen == ("{{ prefect.blocks.secret.plain }}", "hush")


@pytest.mark.usefixtures("stored")
def test_variables_are_looked_up() -> None:
    template = {"n": "{{ prefect.variables.replicas }}", "t": "{{ headrace.variables.replicas }} of", "none": "x{{ prefect.variables.nope }}y"}
    assert resolve_variables(template) == {"n": 3, "t": "3 of", "none": "xy"}


async def _in_a_loop() -> Any:
    return await resolve_variables("{{ prefect.variables.replicas }}")  # type: ignore[misc]  # an awaitable inside a loop


@pytest.mark.usefixtures("stored")
def test_variables_are_looked_up_inside_a_loop() -> None:
    import asyncio

    assert asyncio.run(_in_a_loop()) == 3
