"""Deployments: flows with what it takes to run them elsewhere and later."""
