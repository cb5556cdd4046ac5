"""Where submitted tasks run: threads, processes, and whatever plugins offer."""
