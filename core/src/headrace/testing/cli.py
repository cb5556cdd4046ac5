"""Running the command line in a test. Documented as `headrace.testing.cli`."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass(frozen=True, slots=True)
class CliResult:
    """What a command printed and how it ended. `output` is both streams, as a user sees them on a terminal."""

    stdout: str
    stderr: str
    exit_code: int

    @property
    def output(self) -> str:
        """What was printed, errors after the rest."""
        return self.stdout + self.stderr


def invoke(command: str | list[str], user_input: str | None = None) -> CliResult:
    """Run a command in this process, with `user_input` as what is typed, and return what came of it."""
    import shlex
    import sys

    from headrace.cli.main import main

    out, err, given = StringIO(), StringIO(), StringIO(user_input or "")
    before = sys.stdout, sys.stderr, sys.stdin
    sys.stdout, sys.stderr, sys.stdin = out, err, given
    try:
        code = main(shlex.split(command) if isinstance(command, str) else command)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
    finally:
        sys.stdout, sys.stderr, sys.stdin = before
    return CliResult(out.getvalue(), err.getvalue(), code)


def check_contains(cli_result: CliResult, content: str, should_contain: bool) -> None:
    """Fail unless the output contains (or does not contain) `content`, whose indentation does not count."""
    wanted = textwrap.dedent(content).strip()
    found = wanted in cli_result.output
    if found != should_contain:
        verb = "not find" if should_contain else "find"
        raise AssertionError(f"Did {verb} the text\n------\n{wanted}\n------\nin the command's output:\n------\n{cli_result.output}")


def invoke_and_assert(
    command: str | list[str],
    user_input: str | None = None,
    prompts_and_responses: list[tuple[str, ...]] | None = None,
    expected_output: str | None = None,
    expected_output_contains: str | Iterable[str] | None = None,
    expected_output_does_not_contain: str | Iterable[str] | None = None,
    expected_line_count: int | None = None,
    expected_code: int | None = 0,
    echo: bool = True,
    temp_dir: str | None = None,
) -> CliResult:
    """Run a command and fail unless it printed and ended as expected. `expected_code=None`: however it ended.

    `prompts_and_responses`: pairs (prompt, what is typed); each prompt must appear. `temp_dir`: run it there.
    """
    if prompts_and_responses and user_input is not None:
        raise ValueError("Give either user_input or prompts_and_responses: both say what is typed.")
    typed = "".join(f"{pair[1]}\n" for pair in prompts_and_responses) if prompts_and_responses else user_input
    with _working_in(temp_dir):
        result = invoke(command, typed)
    if echo:
        print(result.output)  # noqa: T201  # pytest shows it with a failing test
    if expected_code is not None and result.exit_code != expected_code:
        raise AssertionError(f"Expected exit code {expected_code}, got {result.exit_code}. Output:\n------\n{result.output}")
    if expected_output is not None and result.output.strip() != textwrap.dedent(expected_output).strip():
        raise AssertionError(f"Expected exactly\n------\n{expected_output}\n------\ngot\n------\n{result.output}")
    for prompt in prompts_and_responses or ():
        check_contains(result, prompt[0], should_contain=True)
    for wanted, should in ((expected_output_contains, True), (expected_output_does_not_contain, False)):
        for content in [wanted] if isinstance(wanted, str) else wanted or ():
            check_contains(result, content, should_contain=should)
    lines = len(result.output.splitlines())
    if expected_line_count is not None and lines != expected_line_count:
        raise AssertionError(f"Expected {expected_line_count} lines of output, got {lines}:\n------\n{result.output}")
    return result


@contextmanager
def _working_in(folder: str | None) -> Generator[None, None, None]:
    before: Any = os.getcwd() if folder is not None else None
    if folder is not None:
        os.chdir(folder)
    try:
        yield
    finally:
        if before is not None:
            os.chdir(before)
