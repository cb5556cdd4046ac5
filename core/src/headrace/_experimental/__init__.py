"""Front desk: documented paths of features that the pages call experimental."""
