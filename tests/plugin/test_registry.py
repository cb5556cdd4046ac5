"""Who offers what, through the registry."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from headrace.model.errors import MissingExtra, PluginBroken, PluginConflict, PluginDenied, PluginIncompatible, PluginNotInstalled
from headrace.plugin import Kind, Offer, PluginState


def states(registry) -> dict[str, PluginState]:
    return {record.name: record.state for record in registry.records()}


def block_class(slug: str = "thing") -> str:
    return """
    from headrace.blocks.core import Block

    class Thing(Block):
        pass
    """


def test_an_installed_plugin_is_found_without_importing_what_it_offers(site):
    package = site.install("dummy-one")
    offer = site.registry().find("block", "dummy-one-thing")
    assert offer == Offer("dummy-one-thing", f"{package}.blocks:Thing", "A thing for tests")
    import sys

    assert f"{package}.blocks" not in sys.modules


def test_a_built_in_is_answered_without_looking_for_plugins(site):
    package = site.install("dummy-one")
    assert site.registry().find(Kind.BLOCK, "secret").target == "headrace.blocks.system:Secret"
    assert not site.is_imported(package)


def test_aliases_find_the_offer(site):
    site.install(
        "dummy-old",
        """
        from headrace.plugin import Offer, hookimpl
        @hookimpl
        def headrace_deployment_steps():
            return [Offer("new.step", "os.path:join", "Joins", aliases=("old.step",))]
        """,
    )
    registry = site.registry()
    assert registry.find("step", "old.step").name == "new.step"
    import os.path

    assert registry.resolve("step", "old.step") is os.path.join
    assert [record.name for record in registry.used()] == ["dummy-old"]


def test_an_unknown_name_lists_near_ones(site):
    site.install("dummy-one")
    with pytest.raises(PluginNotInstalled, match=r"No installed plugin offers the block 'dummy-one-thin'.*'dummy-one-thing'"):
        site.registry().find("block", "dummy-one-thin")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os, not_there_at_all", "not_there_at_all"),
        ("def broken(:", "SyntaxError"),
        ("raise BaseException('odd')", "BaseException: odd"),
    ],
)
def test_a_plugin_that_raises_at_import_is_broken_and_the_others_work(site, code, words):
    site.install("dummy-bad", code)
    site.install("dummy-good")
    registry = site.registry()
    assert registry.find("block", "dummy-good-thing")
    record = next(r for r in registry.records() if r.name == "dummy-bad")
    assert record.state is PluginState.BROKEN
    assert words in (record.reason or "")
    assert record.remedy
    with pytest.raises(PluginNotInstalled, match=r"dummy-bad \(broken\)"):
        registry.find("block", "something-else")


def test_a_plugin_that_broke_is_named_to_whoever_asks_for_its_offer(site, tmp_path):
    package = site.install("dummy-one")
    assert site.registry(cache=tmp_path).find("block", "dummy-one-thing")
    site.forget()
    (site.folder / package / "plugin.py").write_text("raise SystemExit('gone wrong')")
    with pytest.raises(PluginBroken, match=r"'dummy-one-thing' cannot be used.*dummy-one 1.0.*SystemExit: gone wrong"):
        site.registry(cache=tmp_path).find("block", "dummy-one-thing")


@pytest.mark.parametrize(
    ("code", "policy", "error"),
    [
        (None, {"deny": frozenset({"dummy-one"})}, PluginDenied),
        ('HEADRACE_PLUGIN_API_REQUIRES = ">=5"', {}, PluginIncompatible),
    ],
)
def test_an_offer_of_a_plugin_that_is_kept_out_says_so(site, tmp_path, code, policy, error):
    package = site.install("dummy-one")
    assert site.registry(cache=tmp_path).find("block", "dummy-one-thing")
    site.forget()
    if code:
        (site.folder / package / "plugin.py").write_text(code)
    with pytest.raises(error, match="'dummy-one-thing' cannot be used.*dummy-one"):
        site.registry(cache=tmp_path, **policy).find("block", "dummy-one-thing")


def test_two_distributions_offering_one_name_are_both_named_and_neither_is_used(site):
    for name in ("dummy-left", "dummy-right"):
        site.install(
            name,
            """
            from headrace.plugin import Offer, hookimpl
            @hookimpl
            def headrace_blocks():
                return [Offer("bucket", "{package}.blocks:Thing", "A bucket")]
            """,
        )
    registry = site.registry()
    with pytest.raises(PluginConflict, match=r"'bucket' is offered by dummy-left 1.0 .* and dummy-right 1.0 .*neither"):
        registry.find("block", "bucket")
    assert "bucket" not in [offer.name for offer in registry.offers("block")]
    assert set(states(registry).values()) == {PluginState.READY, PluginState.CONFLICTING}
    assert site.registry(deny=frozenset({"dummy_left"})).find("block", "bucket").target == "dummy_right.blocks:Thing"


def test_a_built_in_cannot_be_replaced(site):
    site.install(
        "dummy-secret",
        """
        from headrace.plugin import Offer, hookimpl
        @hookimpl
        def headrace_blocks():
            return [Offer("secret", "{package}.blocks:Thing", "Mine")]
        """,
    )
    registry = site.registry()
    assert registry.find("block", "secret").target == "headrace.blocks.system:Secret"
    record = registry.records()[1]
    assert record.state is PluginState.CONFLICTING
    assert "built into headrace" in (record.reason or "")


@pytest.mark.parametrize(
    ("requirement", "upgrade"),
    [(">=1.0", "headrace"), (">=0.2,<1", "headrace"), ("==7", "headrace"), ("<0.1", "dummy-new")],
)
def test_a_plugin_for_another_hook_version_is_refused_before_it_is_imported(site, requirement, upgrade):
    package = site.install(
        "dummy-new",
        f"""
        from headrace.plugin import SomethingOfTheFuture
        HEADRACE_PLUGIN_API_REQUIRES = "{requirement}"
        """,
    )
    record = site.registry().records()[1]
    assert record.state is PluginState.INCOMPATIBLE
    assert f"written for hook API {requirement}, and this headrace has hook API 0.1" in (record.reason or "")
    assert f"`pip install --upgrade {upgrade}`" in (record.remedy or "")
    assert not site.is_imported(package)


def test_a_requirement_stated_by_the_plugin_object_counts(site):
    site.install(
        "dummy-object",
        """
        class Mine:
            HEADRACE_PLUGIN_API_REQUIRES = ">=3"
        Plugin = Mine()
        """,
        entry="dummy_object.plugin:Plugin",
    )
    assert site.registry().records()[1].state is PluginState.INCOMPATIBLE


def test_a_version_that_cannot_be_read_is_noted_and_the_plugin_loads(site):
    site.install("dummy-one", 'HEADRACE_PLUGIN_API_REQUIRES = "not-valid"' + textwrap.dedent(
        """
        from headrace.plugin import Offer, hookimpl
        @hookimpl
        def headrace_blocks():
            return [Offer("x", "a.b:C", "X")]
        """
    ))  # fmt: skip
    registry = site.registry()
    assert registry.find("block", "x")
    assert "not-valid" in registry.records()[1].notes[0]


def test_missing_sdk_degrades_and_names_the_extra(site):
    site.install(
        "dummy-cloud",
        """
        from headrace.plugin import Offer, hookimpl
        @hookimpl
        def headrace_blocks():
            return [Offer("bucket", "{package}.blocks:Thing", "A bucket", modules=("no_such_sdk.part",), extra="sdk")]
        """,
    )
    registry = site.registry()
    record = registry.records()[1]
    assert (record.state, record.missing) == (PluginState.DEGRADED, ("no_such_sdk.part",))
    with pytest.raises(MissingExtra, match=r"no_such_sdk.part is missing.*pip install 'dummy-cloud\[sdk\]'"):
        registry.resolve("block", "bucket")


def test_a_target_of_the_wrong_kind_is_refused(site):
    site.install("dummy-one")
    with pytest.raises(PluginBroken, match=r"'dummy_one.blocks:Thing', which is no subclass of headrace's Block"):
        site.registry().resolve("block", "dummy-one-thing")


def test_a_target_that_raises_names_plugin_and_cause(site):
    site.install("dummy-one", files={"blocks.py": "raise SystemExit('no licence')"})
    with pytest.raises(PluginBroken, match=r"dummy-one 1.0 could not be imported.*SystemExit: no licence") as caught:
        site.registry().resolve("block", "dummy-one-thing")
    assert isinstance(caught.value.__cause__, SystemExit)


def test_one_failing_hook_leaves_the_others(site):
    site.install(
        "dummy-half",
        """
        from headrace.plugin import Offer, hookimpl
        @hookimpl
        def headrace_blocks():
            raise ValueError("no table")
        @hookimpl
        def headrace_workers():
            return [Offer("half", "a.b:C", "Half a worker")]
        """,
    )
    registry = site.registry()
    assert registry.find("worker", "half")
    record = registry.records()[1]
    assert record.state is PluginState.DEGRADED
    assert "failed in its hook headrace_blocks: ValueError: no table" in (record.reason or "")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def headrace_blocks():\n    return ['bucket']", "headrace.plugin.Offer was expected"),
        ("def headrace_blocks():\n    return 'bucket'", "it returned str"),
        ("def headrace_blocks(surprise):\n    return []", "surprise"),
        ("def headrace_blocks(*, surprise):\n    return []", "surprise"),
        ("def headrace_blocks():\n    return [Offer('x', 'not a target', 'X')]", "package.module:attribute"),
        ("def headrace_blocks():\n    return [Offer('', 'a:b', 'X')]", "name is not empty"),
        ("def headrace_blocks():\n    return [Offer('x', 'a:b', 'X\\nY')]", "one line"),
        ("def headrace_blocks():\n    return [Offer('x', 'a:b', 'X', modules='boto3')]", "must be a tuple of names"),
        ("def headrace_blocks():\n    return [Offer('x', 'a:b', 'X', modules=('a b',))]", "no module's name"),
        ("def headrace_blocks():\n    yield Offer('x', 'a:b', 'X')\n    raise SystemExit(5)", "SystemExit: 5"),
    ],
)
def test_hooks_with_the_wrong_shape_are_explained(site, code, words):
    site.install("dummy-odd", "from headrace.plugin import Offer, hookimpl\n@hookimpl\n" + code)
    record = site.registry().records()[1]
    assert record.state in (PluginState.BROKEN, PluginState.DEGRADED)
    assert words in (record.reason or "")


def test_an_unknown_hook_is_noted_with_the_near_name(site):
    site.install(
        "dummy-typo",
        """
        from headrace.plugin import hookimpl
        @hookimpl
        def headrace_block():
            return []
        """,
    )
    record = site.registry().records()[1]
    assert record.state is PluginState.READY
    assert "'headrace_block', which is no hook" in record.notes[0]
    assert "'headrace_blocks'" in record.notes[0]


def test_functions_without_the_decorator_are_no_hooks(site):
    site.install("dummy-plain", "def headrace_blocks():\n    raise RuntimeError\n")
    assert site.registry().records()[1].hooks == ()


@pytest.mark.parametrize("name", ["dummy-one", "Dummy_One", "dummy.one"])
def test_denied_plugins_are_never_imported(site, name):
    package = site.install("dummy-one")
    registry = site.registry(deny=frozenset({name}), allow=frozenset({name}))
    assert registry.offers("block") == site.registry(deny=frozenset({"dummy-one"})).offers("block")
    assert registry.records()[1].state is PluginState.DENIED
    assert "HEADRACE_PLUGINS_DENY" in (registry.records()[1].remedy or "")
    assert not site.is_imported(package)


def test_only_allowed_plugins_are_used(site):
    site.install("dummy-one")
    site.install("dummy-two")
    registry = site.registry(allow=frozenset({"dummy-two"}))
    assert registry.find("block", "dummy-two-thing")
    assert not site.is_imported("dummy_one")
    with pytest.raises(PluginNotInstalled, match=r"dummy-one \(denied\)"):
        registry.find("block", "dummy-one-thing")


def test_safe_mode_imports_and_calls_nothing(site):
    package = site.install(
        "dummy-one",
        """
        from headrace.plugin import hookimpl
        CALLS = []
        @hookimpl
        def headrace_blocks():
            CALLS.append(1)
            return []
        """,
    )
    record = site.registry(safe_mode=True).records()[1]
    assert (record.state, record.hooks) == (PluginState.DENIED, ("headrace_blocks",))
    import importlib

    assert importlib.import_module(f"{package}.plugin").CALLS == []


def test_a_plugin_is_usable_right_after_it_was_installed(site):
    registry = site.registry()
    with pytest.raises(PluginNotInstalled):
        registry.find("block", "dummy-late-thing")
    site.install("dummy-late")
    assert registry.find("block", "dummy-late-thing")


def test_an_entry_point_to_nowhere_is_broken(site):
    site.install("dummy-lost", entry="dummy_lost.elsewhere")
    record = site.registry().records()[1]
    assert record.state is PluginState.BROKEN
    assert "'dummy_lost.elsewhere', which is not there" in (record.remedy or "")


def test_a_class_as_entry_point_is_called(site):
    site.install(
        "dummy-class",
        """
        from headrace.plugin import Offer, hookimpl
        class Plugin:
            @hookimpl
            def headrace_commands(self):
                return [Offer("mine", "a.b:C", "Mine")]
        """,
        entry="dummy_class.plugin:Plugin",
    )
    assert site.registry().find("command", "mine")


def test_the_first_of_two_copies_on_the_path_counts(site, tmp_path, monkeypatch):
    site.install("dummy-one", version="2.0")
    other = type(site)(tmp_path / "other")
    other.folder.mkdir()
    other.install("dummy-one", version="1.0")
    from headrace.plugin.discovery import discover

    (found,) = discover([str(site.folder), str(other.folder)])
    assert found.version == "2.0"
    assert [Path(folder).name for folder in found.shadows] == ["dummy_one-1.0.dist-info"]


def test_plugins_in_archives_are_found(site, tmp_path, monkeypatch):
    import shutil

    site.install("dummy-zip")
    archive = shutil.make_archive(str(tmp_path / "bundle"), "zip", site.folder)
    from headrace.plugin.discovery import discover

    (found,) = discover([archive])
    assert (found.name, found.version, found.target) == ("dummy-zip", "1.0", "dummy_zip.plugin")


@pytest.mark.parametrize("error", ["ValueError('odd')", "SystemExit(3)"])
def test_an_object_that_raises_when_it_is_looked_at_is_broken(site, error):
    site.install(
        "dummy-object",
        f"""
        class Mine:
            @property
            def trap(self):
                raise {error}
        Plugin = Mine()
        """,
        entry="dummy_object.plugin:Plugin",
    )
    site.install("dummy-one")
    registry = site.registry()
    assert registry.find("block", "dummy-one-thing")
    assert states(registry)["dummy-object"] is PluginState.BROKEN


def test_a_plugin_may_ask_the_registry_while_it_is_read(site, python):
    site.install(
        "dummy-asks",
        """
        from headrace.plugin import Offer, get_registry, hookimpl
        SEEN = [offer.name for kind in ("serializer", "block") for offer in get_registry().offers(kind)]

        @hookimpl
        def headrace_blocks():
            return [Offer("asks", "a.b:C", f"Saw {len(SEEN)}")]
        """,
    )
    done = python(
        """
        from headrace.plugin import get_registry
        print(get_registry().find("block", "asks").summary)
        """
    )
    assert done.stdout.startswith("Saw "), done.stderr


def test_many_threads_get_one_answer(site):
    from concurrent.futures import ThreadPoolExecutor

    for number in range(8):
        site.install(
            f"dummy-{number}",
            """
            from headrace.plugin import Offer, hookimpl
            @hookimpl
            def headrace_server_backends():
                return [Offer("{package}", "{package}.blocks:Thing", "A thing")]
            """,
        )
    registry = site.registry()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: registry.resolve("server_backend", f"dummy_{n % 8}"), range(64)))
    assert len(set(found)) == 8


def test_two_plugins_may_have_one_name(site):
    site.install("dummy-left", files={"extra.py": ""})
    site.install("dummy-right")
    for package in ("dummy_left", "dummy_right"):
        info = site.folder / f"{package}-1.0.dist-info" / "entry_points.txt"
        info.write_text(f"[headrace.plugins]\nsame = {package}.plugin\n")
    registry = site.registry()
    assert {record.distribution for record in registry.records()} == {"headrace", "dummy-left", "dummy-right"}
    assert registry.find("block", "dummy-left-thing") != registry.find("block", "dummy-right-thing")


# --- what is kept of plugins -----------------------------------------------------------------------------------------


def test_the_second_process_answers_without_importing_any_plugin(site, tmp_path):
    package = site.install("dummy-one")
    site.registry(cache=tmp_path).offers("block")
    site.forget()
    registry = site.registry(cache=tmp_path)
    assert registry.find("block", "dummy-one-thing").summary == "A thing for tests"
    assert states(registry)["dummy-one"] is PluginState.READY
    assert not site.is_imported(package)


def test_a_changed_plugin_is_read_again(site, tmp_path):
    site.install(
        "dummy-one",
        """
        from headrace.plugin import hookimpl
        from {package}.table import OFFERS
        @hookimpl
        def headrace_blocks():
            return OFFERS
        """,
        files={"table.py": "from headrace.plugin import Offer\nOFFERS = [Offer('before', 'a:b', 'X')]\n"},
    )
    assert site.registry(cache=tmp_path).find("block", "before")
    site.forget()
    (site.folder / "dummy_one" / "table.py").write_text("from headrace.plugin import Offer\nOFFERS = [Offer('afterwards', 'a:b', 'X')]\n")
    assert site.registry(cache=tmp_path).find("block", "afterwards")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"entries": 3}', "\x00\x01"])
def test_a_damaged_cache_is_no_harm(site, tmp_path, content):
    site.install("dummy-one")
    site.registry(cache=tmp_path).offers("block")
    (file,) = tmp_path.glob("plugins-*.json")
    file.write_text(content)
    site.forget()
    assert site.registry(cache=tmp_path).find("block", "dummy-one-thing")


def test_a_home_that_cannot_be_written_to_is_no_harm(site, tmp_path):
    site.install("dummy-one")
    (tmp_path / "file").write_text("in the way")
    assert site.registry(cache=tmp_path / "file" / "cache").find("block", "dummy-one-thing")


def test_listing_offers_runs_nothing_of_the_package_but_its_light_module(site):
    package = site.install("quiet", files={"__init__.py": "raise RuntimeError('the package was imported')\n"})
    assert [offer.name for offer in site.registry().offers("block") if offer.name == "quiet-thing"] == ["quiet-thing"]
    assert not site.is_imported(package)


def test_a_light_module_may_import_its_package(site, tmp_path):
    code = """
        from headrace.plugin import Offer, hookimpl
        from {package}.names import NAME

        @hookimpl
        def headrace_blocks():
            return [Offer(NAME, "{package}.blocks:Thing", "A thing for tests")]
        """
    package = site.install("split", code.replace("{package}", "split"), files={"names.py": "NAME = 'first'\n"})
    assert site.registry(tmp_path).find("block", "first").name == "first"
    (site.folder / package / "names.py").write_text("NAME = 'second-name'\n")
    site.forget()
    assert site.registry(tmp_path).find("block", "second-name").name == "second-name"  # what it imported is watched too


def test_a_plugin_with_other_hooks_is_imported_as_usual(site):
    code = """
        from headrace.plugin import Offer, hookimpl

        @hookimpl
        def headrace_blocks():
            return [Offer("both-thing", "both.blocks:Thing", "A thing for tests")]

        @hookimpl
        def headrace_setup_environment(context):
            return None
        """
    package = site.install("both", code)
    registry = site.registry()
    assert registry.find("block", "both-thing").name == "both-thing"
    assert site.is_imported(package)
    assert [implementation.plugin for implementation in registry.implementations("headrace_setup_environment")] == ["both"]
