"""Older places of bundles and decorators."""
