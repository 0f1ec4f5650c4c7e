"""The pod as a process is the integration tests'."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "pod"))  # test folders are no packages
