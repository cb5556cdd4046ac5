"""The documented place of the services that events go through."""
