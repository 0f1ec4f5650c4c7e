"""`python -m wasession_operator`."""

import sys

from wasession_operator.main import run

if __name__ == "__main__":
    sys.exit(run())
