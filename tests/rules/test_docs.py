"""The page on the rules is printed from their tables."""

from __future__ import annotations

import os
from pathlib import Path

from headrace.model.states import StateType
from headrace.rules.flow_rules import FLOW_RULES, FORCED_FLOW_RULES, LATE_RULES
from headrace.rules.task_rules import BACKGROUND_TASK_RULES, ENGINE_TASK_RULES, FORCED_TASK_RULES, TASK_RULES
from headrace.rules.transitions import ANY, TERMINAL, Rule

PAGE = Path(__file__).parents[2] / "core/docs/rules.md"
HEAD = """# Rules for states

A run changes its state by proposing one. The rules below judge the proposal, from top to bottom; each speaks only for the states that it names.
A proposal is **accepted** and written, perhaps with other details; **rejected**: another state is written in its place, or the present one
stays; told to **wait** and come again; or **aborted**: whoever proposed it must stop. A forced proposal is judged by the short tables only.

Whatever is written then keeps the books of the run: the first RUNNING sets its start, a final state its end, time spent in RUNNING is added
up, every RUNNING is counted unless it goes on after a pause, and slots are given back when the run leaves PENDING, RUNNING and CANCELLING.

The tables stand in `headrace/rules`, and this page is printed from them: `UPDATE_DOCS=1 pytest tests/rules/test_docs.py`.
"""
TABLES = (
    ("Flow runs", FLOW_RULES),
    ("Flow runs, forced", FORCED_FLOW_RULES),
    ("Flow runs that are marked late", LATE_RULES),
    ("Task runs", TASK_RULES),
    ("Task runs that the engine runs", ENGINE_TASK_RULES),
    ("Background task runs", BACKGROUND_TASK_RULES),
    ("Task runs, forced", FORCED_TASK_RULES),
)


def _kinds(kinds: frozenset[StateType | None]) -> str:
    if kinds == ANY:
        return "any"
    if kinds == TERMINAL:
        return "final"
    missing = ANY - kinds
    if len(missing) < len(kinds):
        return "any but " + ", ".join(kind.value if kind else "none" for kind in (None, *StateType) if kind in missing)
    return ", ".join(kind.value if kind else "none" for kind in (None, *StateType) if kind in kinds)


def _table(title: str, rules: tuple[Rule, ...]) -> str:
    lines = [f"\n## {title}\n"]
    if not rules:
        return "\n".join([*lines, "No rule: everything is accepted."])
    lines += ["| rule | from | to | what it does |", "| --- | --- | --- | --- |"]
    lines += [f"| `{rule.name}` | {_kinds(rule.when_from)} | {_kinds(rule.when_to)} | {rule.summary} |" for rule in rules]
    return "\n".join(lines)


def test_page_shows_the_rules_in_force() -> None:
    page = HEAD + "\n".join(_table(title, rules) for title, rules in TABLES) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "Run: UPDATE_DOCS=1 pytest tests/rules/test_docs.py"
