"""Limits of tags for code that names its task run itself. New code uses `headrace.concurrency.sync` and `headrace.concurrency.asyncio`."""
