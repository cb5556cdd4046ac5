"""`Block`: saved, typed configuration with behaviour. How its schema is made is in `schema`, how it is found in `known`."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeGuard, cast, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, SerializationInfo, model_serializer, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from headrace.client.bridge import blocking, drive
from headrace.client.interface import Client
from headrace.model.blocks import NON_VERSIONED, BlockDocument, BlockRegistration, BlockSchema, BlockTypeCreate
from headrace.model.errors import BlockNotSavedError
from headrace.objects.blocks import known, schema, texts
from headrace.objects.fields import reveal
from headrace.objects.live import Live

initialising: ContextVar[bool] = ContextVar("headrace_block_initialising", default=True)
"""False while a document is loaded without validation, so that `block_initialization` does not meet missing values."""


def block_schema_to_key(schema: BlockSchema) -> str:
    """Return the key under which the class for a stored schema is looked up: the slug of its type."""
    if schema.block_type is None:
        raise ValueError("The block schema does not say its type, so its class cannot be looked up.")
    return schema.block_type.slug


class Block(BaseModel):
    """Typed configuration that can be saved under a name, and what can be done with it.

    Subclass it, declare fields as in any pydantic model, and add methods. Secrets are fields of type `SecretStr`, `SecretBytes`,
    `pydantic.Secret[...]` or `SecretDict`: they show as stars everywhere and are stored encrypted. Set-up code goes into
    `block_initialization`, which runs after validation. Class attributes change how the type is known and shown:
    `_block_type_name`, `_block_type_slug`, `_logo_url`, `_documentation_url`, `_description`, `_code_example`.

    Example:
        ```python
        from headrace.blocks.core import Block

        class Cube(Block):
            edge_length_inches: float

        Cube(edge_length_inches=2.25).save("rubiks-cube")
        Cube.load("rubiks-cube").edge_length_inches
        ```
    """

    model_config = ConfigDict(extra="allow", defer_build=True, hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = None
    _block_type_slug: ClassVar[str | None] = None
    _logo_url: ClassVar[Any] = None
    _documentation_url: ClassVar[Any] = None
    _description: ClassVar[str | None] = None
    _code_example: ClassVar[str | None] = None
    _block_schema_capabilities: ClassVar[list[str]] = []
    _block_schema_version: ClassVar[str | None] = None
    _is_interface: ClassVar[bool] = True  # said by a class of itself: its subclasses are block types unless they say it too

    _block_document_id: UUID | None = None
    _block_document_name: str | None = None
    _block_schema_id: UUID | None = None
    _block_type_id: UUID | None = None
    _is_anonymous: bool | None = None

    # --- the class as a type -------------------------------------------------------------------------------------------

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if schema.is_saveable(cls) and not cls.__pydantic_generic_metadata__["origin"]:
            known.remember(cls)

    @classmethod
    def _own(cls, attribute: str) -> Any:
        """Return a class attribute that subclasses do not inherit; a parametrised generic has those of its origin."""
        origin = cast("type[Block]", cls.__pydantic_generic_metadata__["origin"] or cls)
        return origin.__dict__.get(attribute)

    @classmethod
    def get_block_type_name(cls) -> str:
        """Return the name of the type, as people read it."""
        origin = cls.__pydantic_generic_metadata__["origin"] or cls
        return cls._own("_block_type_name") or origin.__name__

    @classmethod
    def get_block_type_slug(cls) -> str:
        """Return the name of the type, as machines use it: `_block_type_slug`, or the type's name in lower case with dashes."""
        return cls._own("_block_type_slug") or texts.slug_of(cls.get_block_type_name())

    @classmethod
    def get_block_capabilities(cls) -> frozenset[str]:
        """Return what blocks of this class can do: the capabilities of the class and all its parents."""
        return frozenset(
            capability for base in cls.__mro__ if issubclass(base, Block) for capability in base.__dict__.get("_block_schema_capabilities", ())
        )

    @classmethod
    def get_block_schema_version(cls) -> str:
        """Return the version that is stored beside the schema, `non-versioned` unless the class sets one."""
        return cls._block_schema_version or NON_VERSIONED

    @classmethod
    def get_description(cls) -> str | None:
        """Return `_description`, or the docstring up to its first section."""
        return cls._own("_description") or texts.description_of(cls.__doc__)

    @classmethod
    def get_code_example(cls) -> str | None:
        """Return `_code_example`, or the first example of the docstring, or how to load such a block."""
        return cls._own("_code_example") or texts.example_of(cls.__doc__) or texts.default_example(cls.__module__, cls.__name__)

    @classmethod
    def get_block_registration(cls) -> BlockRegistration:
        """Return the type and the schema of this class as they are stored."""
        return BlockRegistration(
            type=BlockTypeCreate(
                name=cls.get_block_type_name(),
                slug=cls.get_block_type_slug(),
                logo_url=str(cls._logo_url) if cls._logo_url else None,
                documentation_url=str(cls._documentation_url) if cls._documentation_url else None,
                description=cls.get_description(),
                code_example=cls.get_code_example(),
            ),
            fields=schema.block_schema_fields(cls),
            capabilities=sorted(cls.get_block_capabilities()),
            version=cls.get_block_schema_version(),
        )

    @staticmethod
    def is_block_class(block: Any) -> TypeGuard[type[Block]]:
        """Say whether something is a block class."""
        return isinstance(block, type) and issubclass(block, Block)

    @staticmethod
    def annotation_refers_to_block_class(annotation: Any) -> bool:
        """Say whether an annotation is a block class or a union with one."""
        return Block.is_block_class(annotation) or any(Block.is_block_class(argument) for argument in get_args(annotation))

    @classmethod
    def get_block_class_from_schema(cls, schema: BlockSchema) -> type[Self]:
        """Return the class for a stored schema. Raises UnknownBlockType when there is none here."""
        return cls.get_block_class_from_key(block_schema_to_key(schema))

    @classmethod
    def get_block_class_from_key(cls, key: str) -> type[Self]:
        """Return the class for a slug. Raises UnknownBlockType when there is none here."""
        return cast("type[Self]", known.class_of(key))

    # --- values ----------------------------------------------------------------------------------------------------------

    def block_initialization(self) -> None:
        """Run after the fields are validated. Override it to derive things from them; the default does nothing."""

    def model_post_init(self, context: Any, /) -> None:
        """Call `block_initialization`."""
        if initialising.get():
            self.block_initialization()

    @model_validator(mode="wrap")
    @classmethod
    def validate_block_type_slug(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Take a block, its values, its values with a `block_type_slug`, or `{"$ref": ...}` to a saved block."""
        if not isinstance(value, Mapping):
            return handler(value)
        values = dict(cast("Mapping[str, Any]", value))
        if set(values) == {"$ref"}:
            return drive(cls.aload_from_ref(values["$ref"]))
        slug = values.pop("block_type_slug", None)
        if slug is None or slug == cls.get_block_type_slug():
            return handler(values)
        found = known.defined_class(slug)
        if found is None or not issubclass(found, cls):
            raise ValueError(f"These values are of block type {slug!r}; {cls.get_block_type_slug()!r} is needed here.")
        return found.model_validate(values)

    @model_serializer(mode="wrap")
    def ser_model(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """Add the slug, and show secrets in clear if the context has `include_secrets`."""
        values = handler(self)
        if info.context and info.context.get("include_secrets"):
            values = reveal(self, values, bool(info.by_alias))
        if not isinstance(values, dict):
            return values
        return {**cast("dict[str, Any]", values), "block_type_slug": self.get_block_type_slug()}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json_schema = handler(core_schema)
        schema.schema_extra(handler.resolve_ref_schema(json_schema), cls)
        return json_schema

    @classmethod
    def model_json_schema(
        cls,
        by_alias: bool | None = True,
        ref_template: str = "#/definitions/{model}",
        schema_generator: type[GenerateJsonSchema] = GenerateJsonSchema,
        mode: Literal["validation", "serialization"] = "validation",
        **options: Any,
    ) -> dict[str, Any]:
        """Return the JSON schema of this class as blocks are stored with: definitions under `definitions`, secrets named."""
        made = super().model_json_schema(by_alias, ref_template, schema_generator, mode, **options)
        return schema.with_definitions(made)

    def __copy__(self) -> Self:
        """Return a block with the same values that holds nothing open: its connections and clients are its own. `model_copy` does this too."""
        made = super().__copy__()
        private = made.__pydantic_private__ or {}
        private.update({name: Live[Any]() for name, value in private.items() if isinstance(value, Live)})
        return made

    def get_block_placeholder(self) -> str:
        """Return what stands for this block in a template: `headrace.blocks.<slug>.<name>`.

        Raises BlockNotSavedError when the block has not been saved.
        """
        if self._block_document_name is None:
            raise BlockNotSavedError(
                f"This {self.get_block_type_name()} block has not been saved, so nothing can refer to it. Call `save('some-name')` first."
            )
        return f"headrace.blocks.{self.get_block_type_slug()}.{self._block_document_name}"

    def document_data(self) -> dict[str, Any]:
        """Return the values as a document holds them: plain JSON, secrets in clear, saved blocks in fields as references."""
        data: dict[str, Any] = self.model_dump(mode="json", by_alias=True, context={"include_secrets": True}, serialize_as_any=True)
        data.pop("block_type_slug", None)
        for name, field in type(self).model_fields.items():
            value = getattr(self, name, None)
            if isinstance(value, Block) and value._block_document_id is not None:
                data[field.serialization_alias or field.alias or name] = {"$ref": {"block_document_id": str(value._block_document_id)}}
        return data

    def adopt_document(self, document: BlockDocument) -> None:
        """Take this block to be the one that `document` holds."""
        self._block_document_id = document.id
        self._block_document_name = document.name
        self._block_schema_id = document.block_schema_id
        self._block_type_id = document.block_type_id
        self._is_anonymous = document.is_anonymous

    def adopt_reference(self, document: dict[str, Any]) -> None:
        """Take this block, a field of another, to be the document that the other one's `block_document_references` name."""
        self._block_document_id = UUID(str(document["id"]))
        self._block_document_name = document.get("name")
        self._is_anonymous = document.get("is_anonymous")

    # --- saving and loading ------------------------------------------------------------------------------------------------

    @classmethod
    async def aregister_type_and_schema(cls, client: Client | None = None) -> None:
        """Store the type and the schema of this class and of the blocks in its fields; what is stored already is left or updated.

        `save` does this by itself. Raises InvalidBlockRegistration for `Block` and for interfaces with abstract methods.
        """
        from headrace.objects.blocks import saving

        await saving.register(cls, client)

    async def asave(self, name: str | None = None, overwrite: bool = False, client: Client | None = None) -> UUID:
        """Store the values of this block under `name` and return the document's id.

        Without a name the one it was loaded or saved under is used. Blocks in its fields become references if they were saved, else
        parts of this document. With `overwrite` a document of that name gets the new values and keeps its id.

        Raises ValueError when no name was ever given or, without `overwrite`, when the name is taken; and a validation error (a
        ValueError as well) for a name with other characters than lower-case letters, digits and dashes.
        """
        from headrace.objects.blocks import saving

        document = await saving.save(self, name or self._block_document_name, overwrite, client)
        self.adopt_document(document)
        return document.id

    @classmethod
    async def aload(cls, name: str, validate: bool = True, client: Client | None = None) -> Self:
        """Return the saved block of that name.

        `name` is a document's name, or `type-slug/name`, which `Block.load` needs to find the class. A `UserWarning` says that the
        document was saved with another schema than this class has. With `validate=False` fields that the document lacks are None
        and those that do not fit stay as stored, so that a document can be brought up to date and saved again.

        Raises ValueError when there is no such document or `name` lacks the slug; RuntimeError when the class has required fields
        that the document lacks; UnknownBlockType when `Block.load` finds no class for the type.
        """
        from headrace.objects.blocks import loading

        document = await loading.fetch_by_name(cls, name, client)
        return loading.block_from(cls, document, validate)

    @classmethod
    async def aload_from_ref(cls, ref: str | UUID | dict[str, Any], validate: bool = True, client: Client | None = None) -> Self:
        """Return the saved block that `ref` points to: a document's id, `{"block_document_id": id}` or
        `{"block_document_slug": "type-slug/name"}`. Otherwise like `load`.

        Raises ValueError for any other `ref`.
        """
        from headrace.objects.blocks import loading

        document = await loading.fetch_by_reference(cls, ref, client)
        return loading.block_from(cls, document, validate)

    @classmethod
    async def adelete(cls, name: str, client: Client | None = None) -> None:
        """Delete the saved block of that name (or `type-slug/name`). Raises ValueError when there is none."""
        from headrace.objects.blocks import saving

        await saving.delete(cls, name, client)

    if TYPE_CHECKING:

        @classmethod
        def register_type_and_schema(cls, client: Client | None = None) -> None: ...
        def save(self, name: str | None = None, overwrite: bool = False, client: Client | None = None) -> UUID: ...
        @classmethod
        def load(cls, name: str, validate: bool = True, client: Client | None = None) -> Self: ...
        @classmethod
        def load_from_ref(cls, ref: str | UUID | dict[str, Any], validate: bool = True, client: Client | None = None) -> Self: ...
        @classmethod
        def delete(cls, name: str, client: Client | None = None) -> None: ...
    else:
        register_type_and_schema = blocking(aregister_type_and_schema)
        save = blocking(asave)
        load = blocking(aload)
        load_from_ref = blocking(aload_from_ref)
        delete = blocking(adelete)
