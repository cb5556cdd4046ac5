"""Concurrency limits and rate limits: `headrace.concurrency.sync` for blocking code, `headrace.concurrency.asyncio` for async code."""
