"""What is done with time alone: each module has steps over bounded batches, which the services call."""
