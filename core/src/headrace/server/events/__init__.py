"""The documented place of what servers do with events."""
