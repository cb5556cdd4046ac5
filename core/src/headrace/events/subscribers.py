"""Hearing of one flow run: its events and its log lines."""

from headrace.client.subscriptions import FlowRunSubscriber

__all__ = ["FlowRunSubscriber"]
