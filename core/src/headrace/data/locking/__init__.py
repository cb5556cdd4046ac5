"""Locks on keys: in memory for threads, in files for processes. Other machines need a plugin's lock manager."""
