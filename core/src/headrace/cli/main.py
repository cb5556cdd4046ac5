"""The entry of the command `headrace`. Answers `--version` by itself; everything else is `root`'s."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with `arguments` (default: those of the process), and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-v"]):
        from headrace import __version__

        print(__version__)
        return 0
    from headrace.cli.root import run

    return run(given)


if __name__ == "__main__":
    sys.exit(main())
