"""Concurrency limits, the leases on them, and limits of tags."""
