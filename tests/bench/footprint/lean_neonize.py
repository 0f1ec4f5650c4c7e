"""The second anchor: the bare script with neonize's heavy imports put off, which is all that a script can easily save."""

import runpy
import sys
from pathlib import Path

from wasession_pod import lean

with lean.imports():
    import neonize  # noqa: F401

sys.argv[0] = str(Path(__file__).with_name("bare_neonize.py"))
runpy.run_path(sys.argv[0], run_name="__main__")
