"""Work pools, their queues and workers, and which run goes where."""
