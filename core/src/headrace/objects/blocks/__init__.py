"""Blocks: saved, typed configuration with behaviour."""

from headrace.objects.blocks.block import Block, block_schema_to_key
from headrace.objects.blocks.schema import schema_extra

__all__ = ["Block", "block_schema_to_key", "schema_extra"]
