"""Hashes of collections, and documents for patches."""

from headrace_aws.utilities import assemble_document_for_patches, ensure_path_exists, hash_collection


def test_equal_collections_have_one_hash() -> None:
    assert hash_collection({"a": [1, {"b": 2}], "c": {3}}) == hash_collection({"c": {3}, "a": [1, {"b": 2}]})
    assert hash_collection([1, 2]) != hash_collection([2, 1])


def test_a_document_takes_the_patches_it_is_made_for() -> None:
    patches = [
        {"op": "replace", "path": "/name", "value": "Jane"},
        {"op": "add", "path": "/contact/address", "value": "123 Main St"},
        {"op": "remove", "path": "/age"},
    ]
    assert assemble_document_for_patches(patches) == {"name": {}, "contact": {}, "age": {}}


def test_lists_are_made_where_numbers_lead() -> None:
    document: dict[str, object] = {}
    ensure_path_exists(document, ["containers", "1", "name"])
    assert document == {"containers": [{}, {"name": {}}]}
