"""Assets: what workflows produce and use."""

from headrace.assets.core import Asset, AssetProperties, add_asset_metadata
from headrace.assets.materialize import materialize

__all__ = ["Asset", "AssetProperties", "add_asset_metadata", "materialize"]
