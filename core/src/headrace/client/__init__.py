"""The one way to reach the operations: embedded (in this process) or over HTTP."""
