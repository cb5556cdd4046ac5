"""The shapes of events."""
