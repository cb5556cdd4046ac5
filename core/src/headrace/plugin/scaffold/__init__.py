"""Writes a new plugin: a whole package with code, tests and a README, whose tests pass as they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from headrace.model.errors import PluginError
from headrace.plugin.listing import README_END, README_START, readme_table
from headrace.plugin.offers import Kind, Offer, PluginRecord, PluginState

_TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SCHEMAS = """
import json
from headrace.plugin.listing import block_schemas
from headrace.plugin.registry import import_target
print(json.dumps(block_schemas({sys.argv[1]: import_target(sys.argv[2])}), indent=1))
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one kind adds to the package: its module, its test file and its offer; `$` names are filled in."""

    module: str
    target: str
    name: str
    summary: str
    block_examples: str = ""


_PARTS: dict[Kind, _Part] = {
    Kind.BLOCK: _Part(
        "blocks",
        "${title}Credentials",
        "${slug}-credentials",
        "Where $words is and how to log in",
        '"${slug}-credentials": {"url": "https://example.com", "token": "hidden-value"}',
    ),
    Kind.STEP: _Part("steps", "write_${word}_note", "$package.steps.write_${word}_note", "Write a note beside the code"),
    Kind.SERIALIZER: _Part("serializers", "${title}Serializer", "${slug}-lines", "Text with one line for each item"),
    Kind.COMMAND: _Part("commands", "group", "$slug", "Commands for $words"),
}
KINDS = tuple(_PARTS)


def create(name: str, folder: Path, kinds: Sequence[Kind] = (Kind.BLOCK,), core_version: str = "0.1") -> Path:
    """Write the distribution `headrace-<name>` into `folder` and return the new folder.

    `kinds` are what its first offers are; see `KINDS`. `core_version` is the lowest headrace that it will ask for.
    Raises PluginError when the name is unusable or the new folder exists already; nothing is written then.
    """
    slug = name.lower().replace("_", "-").removeprefix("headrace-")
    if not _NAME.fullmatch(slug):
        raise PluginError(
            f"{name!r} cannot be the name of a plugin. Use lower-case letters, digits and dashes, and begin with a "
            "letter, as in `headrace plugins new my-cloud`."
        )
    target = folder / f"headrace-{slug}"
    if target.exists():
        raise PluginError(f"{target} exists already. Choose another name, or remove it first.")
    kinds = tuple(dict.fromkeys(kinds))
    if unknown := [kind.value for kind in kinds if kind not in _PARTS]:
        can = ", ".join(kind.value for kind in KINDS)
        raise PluginError(
            f"There is no example for {', '.join(unknown)}; there is one for {can}. Begin with one of these and offer your own class from plugin.py."
        )
    package = f"headrace_{slug.replace('-', '_')}"
    values = {
        "slug": slug,
        "package": package,
        "title": "".join(part.capitalize() for part in slug.split("-")),
        "words": slug.replace("-", " "),
        "word": slug.replace("-", "_"),
        "core": core_version,
    }
    offers = {kind: _offer(kind, values) for kind in kinds}
    _write(target, _files(values, kinds, offers))
    if Kind.BLOCK in offers:
        (target / "tests" / "block_schemas.json").write_text(_schemas(target, offers[Kind.BLOCK]), encoding="utf-8")
    return target


def _offer(kind: Kind, values: dict[str, str]) -> Offer:
    part = _PARTS[kind]
    attribute = _fill(part.target, values)
    return Offer(_fill(part.name, values), f"{values['package']}.{part.module}:{attribute}", _fill(part.summary, values))


def _files(values: dict[str, str], kinds: Sequence[Kind], offers: dict[Kind, Offer]) -> dict[str, str]:
    """Return path → content of every file but the snapshot of schemas."""
    examples = [f"        {_fill(_PARTS[kind].block_examples, values)}," for kind in kinds if _PARTS[kind].block_examples]
    record = PluginRecord(values["slug"], f"headrace-{values['slug']}", "0.1.0", "", PluginState.READY, offers={k: (o,) for k, o in offers.items()})
    values = {
        **values,
        "hooks": "\n\n".join(_hook(kind, offer) for kind, offer in offers.items()),
        "examples": "".join(f"\n{line}" for line in examples) + ("\n    " if examples else ""),
        "table": f"{README_START}\n{readme_table(record)}\n{README_END}",
        "click": '\n  "click>=8.1",' if Kind.COMMAND in kinds else "",
        "exports": "\n".join(f'    "{_attribute(offer)}": "{_PARTS[kind].module}",' for kind, offer in offers.items()),
        "names": ", ".join(f'"{name}"' for name in sorted(_attribute(offer) for offer in offers.values())),
    }
    source = f"src/{values['package']}"
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "CHANGELOG.md": "CHANGELOG.md",
        f"{source}/__init__.py": "package.py",
        f"{source}/plugin.py": "plugin.py",
        "tests/test_contract.py": "test_contract.py",
    }
    for kind in kinds:
        module = _PARTS[kind].module
        files[f"{source}/{module}.py"] = f"{module}.py"
        files[f"tests/test_{module}.py"] = f"test_{module}.py"
    made = {path: _fill((_TEMPLATES / f"{name}.tmpl").read_text(encoding="utf-8"), values) for path, name in files.items()}
    return {**made, f"{source}/py.typed": ""}


def _hook(kind: Kind, offer: Offer) -> str:
    return (
        f"\n@hookimpl\ndef {kind.hook}() -> list[Offer]:\n"
        f'    """Offer what `{offer.target.partition(":")[0]}` has."""\n'
        f"    return [\n        Offer(\n            {json.dumps(offer.name)},\n            {json.dumps(offer.target)},\n"
        f"            {json.dumps(offer.summary)},\n        ),\n    ]"
    )


def _attribute(offer: Offer) -> str:
    return offer.target.partition(":")[2]


def _fill(text: str, values: dict[str, str]) -> str:
    return Template(text).substitute(values)


def _write(target: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


def _schemas(target: Path, offer: Offer) -> str:
    """Ask the new block for its schema, in a child process so that nothing of the new package stays in this one."""
    code = f"import sys; sys.path[:] = {[str(target / 'src'), *sys.path]!r}\n{_SCHEMAS}"
    done = subprocess.run([sys.executable, "-c", code, offer.name, offer.target], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise PluginError(f"The package was written to {target}, but its block cannot be imported:\n{done.stderr}")
    return done.stdout
