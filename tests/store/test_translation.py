"""What SQLite's statements become for PostgreSQL."""

from __future__ import annotations

import pytest

from headrace.store.translation import FOR_UPDATE, SKIP_LOCKED, translated


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT a FROM t WHERE b = ? AND c IN (?, ?)", "SELECT a FROM t WHERE b = $1 AND c IN ($2, $3)"),
        ("SELECT '?', \"?\", 'it''s ?' WHERE a = ?", "SELECT '?', \"?\", 'it''s ?' WHERE a = $1"),
        ("WHERE a LIKE '100%' ESCAPE '\\' AND b % 2 = ?", "WHERE a LIKE '100%' ESCAPE '\\' AND b % 2 = $1"),
        ("WHERE a IS ? AND b IS NOT ?", "WHERE a IS NOT DISTINCT FROM $1 AND b IS DISTINCT FROM $2"),
        ("WHERE a IS NOT 'x' AND b IS NULL AND c IS NOT NULL", "WHERE a IS DISTINCT FROM 'x' AND b IS NULL AND c IS NOT NULL"),
        ("FROM json_each(t.tags) h, json_each(?) w", "FROM json_array_elements_text(t.tags) h, json_array_elements_text($1) w"),
        ("WHERE json_extract(r.created_by, '$.id') = ?", "WHERE (r.created_by #>> '{id}') = $1"),
        ("WHERE likely(a IN (?)) AND b", "WHERE (a IN ($1)) AND b"),
        (f"SELECT 1 FROM t {FOR_UPDATE}", "SELECT 1 FROM t  FOR UPDATE"),
        (f"SELECT 1 FROM t {SKIP_LOCKED}", "SELECT 1 FROM t  FOR UPDATE SKIP LOCKED"),
        ("SELECT this FROM unlikely_table", "SELECT this FROM unlikely_table"),
    ],
)
def test_translation(text: str, wanted: str) -> None:
    assert translated(text)[0].decode() == wanted
