"""`python -m headrace`: the command line."""

import sys

from headrace.cli.main import main

sys.exit(main())
