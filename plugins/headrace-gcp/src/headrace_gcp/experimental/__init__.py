"""Older places of bundles and decorators; everything here is imported from its present place."""
