"""The project side of deployments: the project file, checking it, planning, deploying, and beginning a project."""
