"""Front desk: flows."""

from headrace.engine.flow import Flow, flow

__all__ = ["Flow", "flow"]
