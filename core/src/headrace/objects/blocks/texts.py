"""What a block class says of itself in words: slug, description, code example, from its name and docstring."""

from __future__ import annotations

import re
from inspect import cleandoc
from unicodedata import normalize

_SECTION = re.compile(r"^(Args|Arguments|Attributes|Example|Examples|Methods|Note|Notes|Raises|Returns|See also|Yields):\s*$", re.MULTILINE)
_FENCE = re.compile(r"```.*?```", re.DOTALL)


def slug_of(name: str) -> str:
    """Return `name` in lower case with dashes for everything that is not an ASCII letter or digit."""
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def description_of(docstring: str | None) -> str | None:
    """Return the part of a docstring before its first section, or None."""
    if not docstring:
        return None
    return _SECTION.split(cleandoc(docstring), maxsplit=1)[0].strip() or None


def example_of(docstring: str | None) -> str | None:
    """Return the first code example of a docstring's `Example:` section, fenced, or None."""
    if not docstring:
        return None
    parts = _SECTION.split(cleandoc(docstring))
    for title, text in zip(parts[1::2], parts[2::2], strict=False):
        if title in ("Example", "Examples"):
            found = _FENCE.search(cleandoc("\n" + text))
            if found:
                return found.group()
    return None


def default_example(module: str, name: str) -> str:
    """Return how to load a block of this class."""
    variable = f"{name.lower()}_block"
    return f'```python\nfrom {module} import {name}\n\n{variable} = {name}.load("BLOCK_NAME")\n```'
