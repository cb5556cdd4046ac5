"""Bundles of flows in an S3 bucket: the commands that put one there, and that run one from there."""
