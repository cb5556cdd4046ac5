"""Fixed statements of the hot paths, as text with `?` places. Statements with filters are built in the operations' queries."""
