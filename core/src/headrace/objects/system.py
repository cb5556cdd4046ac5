"""The block for one secret value."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import Field, SecretStr, field_validator
from pydantic import Secret as PydanticSecret

from headrace.objects.blocks import Block

T = TypeVar("T")


class Secret(Block, Generic[T]):
    """A block that represents a secret value.

    The value stored in this block will be obfuscated when this block is viewed or edited in the UI. It is text or anything else that
    JSON can hold; `get` returns it as it was given.

    Attributes:
        value: A value that should be kept secret.

    Example:
        ```python
        from headrace.blocks.system import Secret

        Secret(value="sk-1234567890").save("BLOCK_NAME", overwrite=True)

        secret_block = Secret.load("BLOCK_NAME")

        # Access the stored secret
        secret_block.get()
        ```
    """

    _block_type_name: ClassVar[str | None] = "Secret"
    _block_type_slug: ClassVar[str | None] = "secret"

    value: SecretStr | PydanticSecret[T] = Field(
        description="A value that should be kept secret.",
        examples=["sk-1234567890", {"username": "johndoe", "password": "s3cr3t"}],
        json_schema_extra={"writeOnly": True, "format": "password"},
    )

    @field_validator("value", mode="before")
    @classmethod
    def validate_value(cls, value: Any) -> Any:
        """Take a value in clear, or one that is hidden already."""
        if isinstance(value, SecretStr | PydanticSecret):
            return cast("Any", value)
        return SecretStr(value) if isinstance(value, str) else PydanticSecret[Any](value)

    def get(self) -> T | str:
        """Return the value in clear, as it was stored: text stays text, also if it looks like JSON."""
        return self.value.get_secret_value()
