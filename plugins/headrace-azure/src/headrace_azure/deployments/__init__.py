"""What deployments of projects use."""
