"""From a source file to a flow that can be run elsewhere."""
