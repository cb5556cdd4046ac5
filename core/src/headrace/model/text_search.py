"""Searches for words: a blank means OR, `-word` or `!word` excludes, `+word` requires, quotation marks keep a phrase together."""

from __future__ import annotations

from collections.abc import Callable


def words_of(query: str) -> list[tuple[str, str]]:
    """Split a search into (sign, word) pairs; the sign is "+", "-" or "". `\\"` is a quotation mark inside a phrase."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(query):
        if query[position].isspace():
            position += 1
            continue
        sign = {"+": "+", "-": "-", "!": "-"}.get(query[position], "")
        position += bool(sign)
        word, position = _phrase(query, position + 1) if query[position : position + 1] == '"' else _word(query, position)
        if word:
            found.append((sign, word))
    return found


def _word(query: str, position: int) -> tuple[str, int]:
    end = position
    while end < len(query) and not query[end].isspace():
        end += 1
    return query[position:end].replace('\\"', '"'), end


def _phrase(query: str, position: int) -> tuple[str, int]:
    letters: list[str] = []
    while position < len(query) and query[position] != '"':
        if query.startswith('\\"', position):
            position += 1
        letters.append(query[position])
        position += 1
    return "".join(letters), position + 1


def is_found(query: str, holds: Callable[[str], bool]) -> bool:
    """Say whether a search succeeds, where `holds` tells of one word, in lower case, whether it is there. An empty search does."""
    wanted: list[bool] = []
    for sign, word in words_of(query):
        held = holds(word.lower())
        if sign == "":
            wanted.append(held)
        elif held != (sign == "+"):
            return False
    return any(wanted) or not wanted
