"""Writes the lock files: hashes of every package, no index, no links.

`requirements.lock` is the development environment, the others are what goes into each image.
"""

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[1]
LOCKS: dict[str, list[str]] = {
    "requirements.lock": ["--all-extras", "--all-build-deps", "--allow-unsafe", "pyproject.toml"],
    "operator/requirements.txt": ["--extra=operator", "pyproject.toml"],
    "session-pod/requirements.txt": ["--extra=pod", "pyproject.toml"],
    "api/requirements.txt": ["--extra=api", "pyproject.toml"],
    "tests/emulator/requirements.txt": ["tests/emulator/requirements.in"],
}
QUIET = (
    "--quiet",
    "--generate-hashes",
    "--strip-extras",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
    "--no-header",
)


def main() -> None:
    """Compile each of them; packages found by local links only must not get in."""
    env = {k: v for k, v in os.environ.items() if k != "PIP_FIND_LINKS"}
    for target, options in LOCKS.items():
        print(target, flush=True)
        command = [sys.executable, "-m", "piptools", "compile", *QUIET, *options, f"--output-file={target}"]
        subprocess.run(command, cwd=REPO, env=env, check=True)


if __name__ == "__main__":
    main()
