"""Writing profiles.yml for commands that get a profile as a block."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace_dbt.cli.credentials import DbtCliProfile


def prepared_profiles_dir(profiles_dir: Path | str | None, overwrite_profiles: bool, dbt_cli_profile: DbtCliProfile | None) -> Path:
    """Return the directory of profiles.yml, written there if there is none or if it is to be overwritten.

    `profiles_dir`: default `DBT_PROFILES_DIR`, else `~/.dbt`. The file holds passwords, so its owner alone can read it.
    Raises `ValueError` when a profile is needed and not given, or given and not wanted.
    """
    folder = Path(profiles_dir or os.environ.get("DBT_PROFILES_DIR") or Path.home() / ".dbt").expanduser()
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
    made = folder / f".profiles-{os.getpid()}.yml"
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(content)
    made.replace(file)
    return folder
