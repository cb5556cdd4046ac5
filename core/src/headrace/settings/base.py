"""The documented place of the class that groups of settings derive from; plugins derive theirs from it.

Example: `class AwsSettings(HeadraceBaseSettings, path="integrations.aws")` with `region: str = setting("…", "…")`.
"""

from headrace.settings.declaration import Group as HeadraceBaseSettings
from headrace.settings.declaration import group, setting

__all__ = ["HeadraceBaseSettings", "group", "setting"]
