"""Steps of deployments: running them, and those that headrace brings."""
