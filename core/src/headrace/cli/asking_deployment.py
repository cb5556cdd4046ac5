"""Asking on the terminal for what a deployment lacks."""

from __future__ import annotations

from collections.abc import Sequence

import click


class TerminalAsker:
    """Whoever sits at the terminal."""

    def choose(self, question: str, choices: Sequence[str]) -> str:
        """Return one of the choices, by its number or by itself."""
        for number, choice in enumerate(choices, 1):
            click.echo(f"{number:>3}  {choice}")
        while True:
            answer = str(click.prompt(question, default="1")).strip()
            if answer in choices:
                return answer
            if answer.isdigit() and 0 < int(answer) <= len(choices):
                return choices[int(answer) - 1]
            click.echo(f"Give a number from 1 to {len(choices)}.")

    def text(self, question: str, default: str | None = None) -> str:
        """Return what is typed."""
        return str(click.prompt(question, default=default))

    def secret(self, question: str) -> str:
        """Return what is typed and not shown."""
        return str(click.prompt(question, hide_input=True))

    def yes(self, question: str) -> bool:
        """Return whether the answer is yes; Enter is no."""
        return click.confirm(question)
