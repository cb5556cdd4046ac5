"""Names that loggers and records share."""

ROOT_NAME = "headrace"
FLOW_RUNS_NAME = "headrace.flow_runs"
TASK_RUNS_NAME = "headrace.task_runs"
UNKNOWN = "<unknown>"
