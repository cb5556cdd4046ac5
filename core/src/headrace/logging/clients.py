"""Hearing log lines from a server."""

from headrace.client.subscriptions import HeadraceLogsSubscriber, get_logs_subscriber
from headrace.client.websocket import http_to_ws, logs_out_socket_from_api_url

__all__ = ["HeadraceLogsSubscriber", "get_logs_subscriber", "http_to_ws", "logs_out_socket_from_api_url"]
