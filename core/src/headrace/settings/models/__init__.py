"""The groups of settings under their documented paths; they are declared in `headrace.settings.tree`."""
