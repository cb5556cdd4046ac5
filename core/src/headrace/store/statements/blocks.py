"""Statements on blocks, with values in storage form."""

from __future__ import annotations

TYPE_COLUMNS = "t.id, t.created, t.updated, t.name, t.slug, t.logo_url, t.documentation_url, t.description, t.code_example, t.is_protected"
SCHEMA_COLUMNS = "s.id, s.created, s.updated, s.checksum, s.fields, s.block_type_id, s.capabilities, s.version"
SCHEMA_WIDTH = SCHEMA_COLUMNS.count(",") + 1
DOCUMENT_COLUMNS = "d.id, d.created, d.updated, d.name, d.data, d.key_id, d.is_anonymous"
DOCUMENT_WIDTH = DOCUMENT_COLUMNS.count(",") + 1

SELECT_TYPES = f"SELECT {TYPE_COLUMNS} FROM block_type t"
SELECT_SCHEMAS = f"SELECT {SCHEMA_COLUMNS}, {TYPE_COLUMNS} FROM block_schema s JOIN block_type t ON t.id = s.block_type_id"
DOCUMENTS = """FROM block_document d
    JOIN block_schema s ON s.id = d.block_schema_id JOIN block_type t ON t.id = d.block_type_id"""
SELECT_DOCUMENTS = f"SELECT {DOCUMENT_COLUMNS}, {SCHEMA_COLUMNS}, {TYPE_COLUMNS} {DOCUMENTS}"

INSERT_TYPE = """INSERT INTO block_type
    (id, created, updated, name, slug, logo_url, documentation_url, description, code_example, is_protected)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
INSERT_SCHEMA = """INSERT INTO block_schema
    (id, created, updated, checksum, fields, capabilities, version, block_type_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
INSERT_DOCUMENT = """INSERT INTO block_document
    (id, created, updated, name, data, key_id, is_anonymous, block_type_id, block_schema_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
UPDATE_DOCUMENT = "UPDATE block_document SET updated = ?, data = ?, key_id = ?, block_schema_id = ? WHERE id = ?"

DELETE_REFERENCES = "DELETE FROM block_document_reference WHERE parent_document_id = ?"
INSERT_REFERENCE = "INSERT INTO block_document_reference (parent_document_id, name, reference_document_id) VALUES (?, ?, ?)"
SELECT_REFERENCES = "SELECT name, reference_document_id FROM block_document_reference WHERE parent_document_id = ? ORDER BY name"

SELECT_NEWEST_FIELDS = """SELECT s.fields FROM block_schema s JOIN block_type t ON t.id = s.block_type_id
    WHERE t.slug = ? ORDER BY s.created DESC LIMIT 1"""
SELECT_KEY_IDS = "SELECT DISTINCT key_id FROM block_document"
SELECT_CAPABILITIES = "SELECT DISTINCT e.value FROM block_schema s, json_each(s.capabilities) e ORDER BY e.value"
HAS_CAPABILITY = "EXISTS (SELECT 1 FROM json_each(s.capabilities) e WHERE e.value = ?)"
