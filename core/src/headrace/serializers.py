"""Serializers: values to bytes and back."""

from headrace.data.serializers import (
    CompressedJSONSerializer,
    CompressedPickleSerializer,
    CompressedSerializer,
    JSONSerializer,
    PickleSerializer,
    Serializer,
    headrace_json_object_decoder,
    headrace_json_object_encoder,
)

__all__ = [
    "CompressedJSONSerializer",
    "CompressedPickleSerializer",
    "CompressedSerializer",
    "JSONSerializer",
    "PickleSerializer",
    "Serializer",
    "headrace_json_object_decoder",
    "headrace_json_object_encoder",
]
