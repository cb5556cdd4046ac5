"""What Google's APIs tell of, as models."""
