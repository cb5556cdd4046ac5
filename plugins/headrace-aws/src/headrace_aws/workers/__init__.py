"""Workers for AWS."""
