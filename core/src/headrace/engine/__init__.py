"""Runs users' flows and tasks. Talks to the store only through a client."""
