"""Writing profiles.yml for commands that get a profile as a block."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace_dbt.cli.credentials import DbtCliProfile


def prepared_profiles_dir(
    profiles_dir: Path | str | None, overwrite_profiles: bool, dbt_cli_profile: DbtCliProfile | None, environment: Mapping[str, str] | None = None
) -> Path:
    """Return the directory of profiles.yml, written there if there is none or if it is to be overwritten.

    `profiles_dir`: default `DBT_PROFILES_DIR` of `environment` or else of this process, else `~/.dbt`. The file holds passwords, so its owner
    alone can read it.
    Raises `ValueError` when a profile is needed and not given, or given and not wanted.
    """
    named = (environment or {}).get("DBT_PROFILES_DIR") or os.environ.get("DBT_PROFILES_DIR")
    folder = Path(profiles_dir or named or Path.home() / ".dbt").expanduser()
    file = folder / "profiles.yml"
    if file.exists() and not overwrite_profiles:
        if dbt_cli_profile is not None:
            raise ValueError(
                f"There is a profiles.yml in {folder} already, so the given dbt_cli_profile would not be used. "
                "Set overwrite_profiles=True to replace it, leave dbt_cli_profile out to use it, or choose another profiles_dir."
            )
        return folder
    if dbt_cli_profile is None:
        why = "is to be overwritten" if file.exists() else "does not exist"
        raise ValueError(f"{file} {why}, and no dbt_cli_profile is given to write there. Give one, or say by profiles_dir where the file is.")
    import yaml

    content = yaml.safe_dump(dbt_cli_profile.get_profile(), sort_keys=False, allow_unicode=True)
    folder.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(prefix=".profiles-", suffix=".yml", dir=folder)  # for its owner alone
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        Path(made).replace(file)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    return folder
