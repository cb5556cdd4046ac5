"""Events: emitted, recorded, queried, pruned; automations, which wait for them."""
