"""Bundles: flows that travel to where they run, packed with their code and their files."""
