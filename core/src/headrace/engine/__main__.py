"""`python -m headrace.engine`: run the flow run that `HEADRACE__FLOW_RUN_ID` names, as workers and runners start it."""

import sys

from headrace.flow_engine import run_flow_run_of_environment

if __name__ == "__main__":
    sys.exit(run_flow_run_of_environment())
