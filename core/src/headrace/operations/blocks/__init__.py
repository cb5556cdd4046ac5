"""Block types, schemas and documents."""
