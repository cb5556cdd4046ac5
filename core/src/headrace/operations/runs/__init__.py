"""Flows, flow runs and task runs: created, moved from state to state, queried; their logs and inputs."""
