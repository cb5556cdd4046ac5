"""Workers that run flows on Google Cloud."""
