"""Imports neonize into the test's own process: it leaves children and their pipes behind, which a test would be blamed for."""

import gc
import subprocess
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    from wasession_pod import outbound, whatsapp

    gc.collect()
    for child in list(subprocess._active):  # type: ignore[attr-defined]  # where Popen objects go whose child runs on
        child.communicate(timeout=10)
    subprocess._cleanup()  # type: ignore[attr-defined]
    gc.collect()

__all__ = ["outbound", "whatsapp"]
