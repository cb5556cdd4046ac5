"""The older homes of bundles and decorators."""
