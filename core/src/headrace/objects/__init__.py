"""Things that users save and load: blocks, variables, artifacts, assets, inputs of runs, slots of limits. They reach the store by a client."""
