"""Workers: they take runs of a work pool, start infrastructure for each, and watch it to its end."""
