"""Documented modules on logs at the server."""
