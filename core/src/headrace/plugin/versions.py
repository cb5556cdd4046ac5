"""Whether a plugin's requirement on the hook specifications holds. The common form is answered without `packaging`."""

from __future__ import annotations

import re

from headrace.plugin.offers import HOOK_API_VERSION

_SIMPLE = re.compile(r"(>=|<=|>|<)\s*(\d+(?:\.\d+)*)")
_LOWER = re.compile(r"(?:>=|>|===?|~=)\s*(\d+(?:\.\d+)*)")
_DECLARED = re.compile(r"""^HEADRACE_PLUGIN_API_REQUIRES\s*(?::[^=\n]+)?=\s*["']([^"'\n]*)["']""", re.MULTILINE)


def is_satisfied(requirement: str, version: str = HOOK_API_VERSION) -> bool | None:
    """Return whether `version` meets a PEP 440 specifier, or None when `requirement` is not one."""
    clauses = [_SIMPLE.fullmatch(clause.strip()) for clause in requirement.split(",")]
    parts = [clause.groups() for clause in clauses if clause]
    if len(parts) == len(clauses):
        return all(_compare(_release(version), operator, _release(bound)) for operator, bound in parts)
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(requirement).contains(version, prereleases=True)
    except InvalidSpecifier:
        return None


def is_for_the_future(requirement: str, version: str = HOOK_API_VERSION) -> bool:
    """Return whether the requirement asks for more than `version`, so that a newer headrace would meet it."""
    return any(_release(bound) > _release(version) for bound in _LOWER.findall(requirement))


def declared_in(source: str) -> str | None:
    """Return the requirement that a module's source states, read without running it."""
    found = _DECLARED.search(source)
    return found.group(1) if found else None


def _release(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in version.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _compare(left: tuple[int, ...], operator: str, right: tuple[int, ...]) -> bool:
    match operator:
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left < right
