"""Object stores: one set of rules and transfers for all, over a small driver for each."""
