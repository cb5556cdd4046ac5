"""`headrace deployment`: flows that a server runs."""
