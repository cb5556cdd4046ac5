"""Documented modules on the routes of the server."""
