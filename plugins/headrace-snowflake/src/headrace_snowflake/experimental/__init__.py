"""What may still change: the worker for Snowpark Container Services."""
