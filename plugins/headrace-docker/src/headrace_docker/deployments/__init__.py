"""Steps of project files."""
