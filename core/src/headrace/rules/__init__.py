"""Decisions: pure functions and tables over the model. No clocks, settings or rows."""
