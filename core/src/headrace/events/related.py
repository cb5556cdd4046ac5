"""Making related resources."""

from headrace.model.events import object_as_related_resource, tags_as_related_resources

__all__ = ["object_as_related_resource", "tags_as_related_resources"]
