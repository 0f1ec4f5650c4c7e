"""`python -m waemulator`."""

import sys

from waemulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
