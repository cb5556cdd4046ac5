"""The declarations of all settings, by what they are for. Data, with the few defaults that depend on others."""
