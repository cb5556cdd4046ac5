"""Bundles of flows in Blob Storage: the commands that put one there, and that run one from there."""
