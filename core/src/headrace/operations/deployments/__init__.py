"""Deployments, their schedules, and the runs that they make."""
