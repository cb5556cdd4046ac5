"""The base class of blocks."""

from headrace.model.errors import BlockNotSavedError, InvalidBlockRegistration, UnknownBlockType
from headrace.objects.blocks import Block, block_schema_to_key, schema_extra

__all__ = ["Block", "BlockNotSavedError", "InvalidBlockRegistration", "UnknownBlockType", "block_schema_to_key", "schema_extra"]
