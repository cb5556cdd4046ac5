"""Bundles in a folder that both sides share: the commands that put one there, and that run one from there."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from headrace.deploy.bundles.packing import execute_bundle_from_file


def upload() -> None:
    """Copy a file into the folder under its key: `upload --folder FOLDER --key KEY FILE`."""
    given = _arguments(("file",))
    kept = Path(given.folder) / given.key
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(given.file, kept)


def execute() -> None:
    """Run the bundle of a key: `execute --folder FOLDER --key KEY`. `--remove`: the folder was made for this bundle and goes when it has run."""
    given = _arguments(())
    folder = Path(given.folder)
    try:
        bundle = folder / given.key
        files_key = json.loads(bundle.read_text(encoding="utf-8"))["files_key"]
        execute_bundle_from_file(str(bundle), folder / files_key if files_key else None)
    finally:
        if given.remove:
            shutil.rmtree(folder, ignore_errors=True)


def _arguments(positional: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--remove", action="store_true")
    for name in positional:
        parser.add_argument(name)
    return parser.parse_args()
