"""Locks on the keys of results."""
