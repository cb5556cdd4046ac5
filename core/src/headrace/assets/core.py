"""Assets and what is told of them."""

from headrace.engine.assets import Asset, add_asset_metadata
from headrace.model.assets import AssetProperties

__all__ = ["Asset", "AssetProperties", "add_asset_metadata"]
