"""The nouns: states, runs, blocks, events, their shapes on the wire, ids, time and errors. Does no I/O."""
