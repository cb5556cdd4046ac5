"""What tells of ECS tasks: their diagnosis, and the observer of their events."""
