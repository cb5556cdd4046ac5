"""Bundles of flows in a Cloud Storage bucket: the commands that put one there, and that run one from there."""
