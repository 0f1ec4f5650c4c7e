"""`python -m wasession_pod`. Surprising: what comes first here decides what asyncio and msgspec drag in, 0.6 MB of memory."""

from wasession_pod import lean

with lean.placeholders(lean.HELPERS):
    import asyncio  # noqa: F401  imported here, used in main
    import inspect  # noqa: F401  the same, by asyncio and dataclasses

    import msgspec  # noqa: F401  the same

from wasession_pod.main import main

main()
