"""Background services: what a server does on its own. `base` has their documented classes, `runtime` runs them."""
