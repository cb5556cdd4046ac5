"""From the operations' SQL, as SQLite understands it, to PostgreSQL's. Done once for each text.

`?` places become `$1`, `$2`, …; `IS ?` and `IS 'text'`, which compare with NULL too, become `IS NOT DISTINCT FROM`; `json_each` over a list
and `json_extract` of one value become their counterparts; hints to SQLite's planner (`likely`) are dropped. What stands in `/*+ … */`, a
comment to SQLite, is for PostgreSQL alone.
"""

from __future__ import annotations

import re
from functools import lru_cache

TEXTS_CACHED_MAX = 2048  # statements with lists differ by the number of their places

FOR_UPDATE = "/*+ FOR UPDATE */"
"""After a SELECT: its rows are locked until the transaction ends. On SQLite a transaction that writes is alone anyway."""
SKIP_LOCKED = "/*+ FOR UPDATE SKIP LOCKED */"
"""After a SELECT: as `FOR_UPDATE`, and rows that another transaction holds are passed over, so that several servers share the work."""

_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*' | "(?:[^"]|"")*"
    | /\*\+ (?P<only> .*? ) \s? \*/
    | \b IS \s+ (?P<not> NOT \s+ )? (?= [?'] )
    | (?P<each> \b json_each \( )
    | \b (?P<hint> likely | unlikely ) (?= \( )
    | \b json_extract \( \s* (?P<column> [\w.]+ ) \s* , \s* ' \$\. (?P<path> [\w.]+ ) ' \s* \)
    | (?P<place> \? )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_ANSWERS = re.compile(r"\A\s*(?:SELECT|WITH|VALUES|SHOW|EXPLAIN)\b|\bRETURNING\b", re.IGNORECASE)


@lru_cache(maxsize=TEXTS_CACHED_MAX)
def translated(text: str) -> tuple[bytes, bool]:
    """Return the statement as PostgreSQL reads it, and whether it answers with rows."""
    count = 0

    def put(found: re.Match[str]) -> str:
        nonlocal count
        token = found[0]
        if found["place"]:
            count += 1
            return f"${count}"
        if found["only"] is not None:
            return found["only"]
        if found["hint"]:
            return ""
        if found["each"]:
            return "json_array_elements_text("
        if found["column"]:
            return f"({found['column']} #>> '{{{found['path'].replace('.', ',')}}}')"
        if token[0] in "'\"":
            return token
        return "IS DISTINCT FROM " if found["not"] else "IS NOT DISTINCT FROM "

    return _TOKEN.sub(put, text).encode(), _ANSWERS.search(text) is not None
