"""Builds one image from a Dockerfile, with Docker where an engine answers, else with buildah and a base made from Debian packages.

What is surprising: buildah runs in a mount namespace of its own and with storage of its own, so that a build, also one that is killed,
leaves no mount behind and reads nothing of this machine's container configuration. The layers of earlier builds are kept there, which
is why a build after a change of the source takes seconds.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hostsettings

HERE = Path(__file__).resolve().parent
BASE = "localhost/python:3.11-slim"
BASE_CONFIG = (
    "FROM scratch\nADD root.tar /\nENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8\n"
    'LABEL wasession.dev/recipe={recipe}\nCMD ["python3"]\n'
)
# Program looked for, and the Debian package that brings it.
PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux", "setpriv": "util-linux"}
FILES = {hostsettings.KEYRING: "debian-archive-keyring"}
# All processes below end with this one, also when it is killed, and what they mounted goes with them.
CONTAINED = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--mount",
    "--propagation",
    "private",
)
LOG_LINES = 40
# How buildah reports the image of each step that it ran or found in its cache.
STEP_IMAGE = re.compile(r"^--> (?:Using cache )?([0-9a-f]{11,64})$", re.MULTILINE)


class BuildError(Exception):
    """What went wrong, in words for the user; the message may have many lines."""


def say(text: str) -> None:
    """One line per phase."""
    print(f"image: {text}", flush=True)


def cache_directory() -> Path:
    """Where layers, the base and exported images are kept, also for a caller without HOME."""
    if os.environ.get("DEVCLUSTER_CACHE"):
        root = Path(os.environ["DEVCLUSTER_CACHE"]).absolute()
    else:
        home_cache = Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111  falls back to the user database when HOME is unset
        root = Path(os.environ.get("XDG_CACHE_HOME") or home_cache) / "wasession/devcluster"
    return root / "images"


def run(command: Sequence[str], log: Path, what: str, *, env: dict[str, str] | None = None, stop: int = signal.SIGKILL) -> None:
    """Run `command` with its output in `log` only; raises BuildError with the log's end when it fails.

    Interrupted, it sends `stop` and waits: what is in a namespace of its own can be killed, apt-get has to end by itself.
    """
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env, start_new_session=True)
        try:
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, stop)
            process.wait()
            raise
    if code:
        end = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        raise BuildError("\n".join([*end, f"image: {what} failed with exit code {code}; the end of its output is above"]))


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """One build at a time per cache. Python opens files so that no child inherits them: the lock ends with this process."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running, waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def docker_answers() -> bool:
    """Whether there is a Docker client whose engine answers."""
    return shutil.which("docker") is not None and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def install_packages(log: Path) -> None:
    """Install the Debian packages that are missing; their lists are updated only when they are too old to do without."""
    programs = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing = sorted(programs | {package for path, package in FILES.items() if not Path(path).exists()})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise BuildError(f"image: {', '.join(missing)} is missing and there is no apt-get to install it: install it, or Docker")
    say(f"installing {', '.join(missing)}")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    try:
        run(install, log, "apt-get install", env=env, stop=signal.SIGTERM)
    except BuildError:
        run(["apt-get", "update", "-q", "-o", "Acquire::Retries=3"], log, "apt-get update", env=env, stop=signal.SIGTERM)
        run([*install, "-o", "Acquire::Retries=3"], log, "apt-get install", env=env, stop=signal.SIGTERM)


class Buildah:
    """buildah with everything it keeps below one directory."""

    def __init__(self, directory: Path, log: Path) -> None:
        self._log = log
        self._policy = directory / "policy.json"
        accept = [{"type": "insecureAcceptAnything"}]  # for what is in this storage already; there is no other source
        self._policy.write_text(json.dumps({"default": [{"type": "reject"}], "transports": {"containers-storage": {"": accept}}}))
        for name in ("containers.conf", "registries.conf"):
            (directory / name).write_text("")
        self._env = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(directory / "registries.conf"),
            "TMPDIR": str(directory / "tmp"),
        }
        self._directory = directory
        chosen = directory / "driver"
        self.driver = chosen.read_text() if chosen.exists() else "overlay"
        self._configure()
        if not chosen.exists():
            if not self.ask("info"):  # overlay does not work on every file system
                self.driver = "vfs"
                self._configure()
            chosen.write_text(self.driver)

    def _configure(self) -> None:
        places = f'graphroot = "{self._directory}/storage-{self.driver}"\nrunroot = "{self._directory}/run"\n'
        (self._directory / "storage.conf").write_text(f'[storage]\ndriver = "{self.driver}"\n{places}')

    def __call__(self, what: str, *arguments: str) -> None:
        """Run a command; its output goes to the log."""
        run([*CONTAINED, "buildah", *arguments], self._log, what, env=self._env)

    def ask(self, *arguments: str) -> str:
        """What a command prints; empty if it fails, as for an image that is not there."""
        command = [*CONTAINED, "buildah", *arguments]
        return subprocess.run(command, env=self._env, capture_output=True, text=True, check=False).stdout

    def build(self, tag: str, arguments: Sequence[str]) -> str:
        """Build, give the image `tag` only when every step succeeded, and return its id."""
        options = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--layers", "--force-rm"]
        # Without --iidfile, with which buildah does not report the steps' images.
        self(f"building {tag}", "build", *options, "--signature-policy", str(self._policy), "--tag", tag, *arguments)
        return "sha256:" + self.ask("inspect", "--type", "image", "--format", "{{.FromImageID}}", tag).strip()

    def export(self, image: str, tag: str, archive: Path) -> None:
        """Write the image with its tag as a docker-archive."""
        partial = archive.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        self(f"exporting {tag}", "push", "--quiet", "--signature-policy", str(self._policy), image, f"docker-archive:{partial}:{tag}")
        partial.replace(archive)

    def forget_all_but(self, kept: set[str]) -> None:
        """Remove the images of steps (they have no name) that are not `kept`; ids may be cut short."""
        images = json.loads(self.ask("images", "--all", "--json") or "[]") or []
        unnamed = [image["id"] for image in images if not image.get("names")]
        old = [image for image in unnamed if not any(image.startswith(step) for step in kept)]
        if old:
            self.ask("rmi", *old)


def ensure_base(buildah: Buildah, directory: Path, settings: Path, log: Path) -> None:
    """Make the stand-in for python:3.11-slim, unless the one that its recipe makes is there."""
    recipe = hashlib.sha256((HERE / "mkbase").read_bytes() + BASE_CONFIG.encode()).hexdigest()[:16]
    label = buildah.ask("inspect", "--type", "image", "--format", '{{index .Docker.Config.Labels "wasession.dev/recipe"}}', BASE).strip()
    if label == recipe:
        return
    say(f"making {BASE} from Debian packages, once")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=directory / "tmp") as temporary:
        root = Path(temporary) / "root.tar"
        make = [*CONTAINED, str(HERE / "mkbase"), str(settings), str(root)]
        run(make, log, f"making {BASE}", env=os.environ | {"TMPDIR": temporary})
        dockerfile = Path(temporary) / "Dockerfile"
        dockerfile.write_text(BASE_CONFIG.format(recipe=recipe))
        buildah.build(BASE, ["--file", str(dockerfile), temporary])
    say(f"{BASE} made in {time.monotonic() - started:.0f} s")


def build_without_docker(tag: str, arguments: Sequence[str]) -> str:
    """Build and export; returns the line for the end."""
    if os.geteuid() != 0:
        raise BuildError("image: building without Docker needs root: run this as root, or start Docker")
    started = time.monotonic()
    directory = cache_directory()
    for part in ("store", "log"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    name = tag.replace("/", "_").replace(":", "_")
    log, archive, known = directory / f"log/{name}.log", directory / f"store/{name}.tar", directory / f"store/{name}.id"
    steps = directory / f"store/{name}.steps"
    with only_one(directory / "lock"):
        log.write_text("")
        shutil.rmtree(directory / "tmp", ignore_errors=True)  # what a killed build left
        (directory / "tmp").mkdir()
        install_packages(log)
        buildah = Buildah(directory, log)
        with tempfile.TemporaryDirectory(dir=directory / "tmp") as temporary:
            settings = Path(temporary)
            volumes = hostsettings.write(settings, os.environ)
            ensure_base(buildah, directory, settings, log)
            say(f"building {tag} with buildah ({buildah.driver})")
            mounts = [option for volume in volumes for option in ("--volume", volume)]
            image = buildah.build(tag, [*mounts, "--build-arg", f"PYTHON={BASE}", *arguments])
        unchanged = archive.exists() and known.exists() and known.read_text().strip() == image
        if not unchanged:
            say(f"exporting {archive}")
            known.unlink(missing_ok=True)
            buildah.export(image, tag, archive)
            known.write_text(f"{image}\n")
        # What each image's last build went through is what its next build finds in the cache; the rest would only pile up.
        steps.write_text("\n".join(STEP_IMAGE.findall(log.read_text(errors="replace"))))
        buildah.forget_all_but({step for file in steps.parent.glob("*.steps") for step in file.read_text().split()})
    return f"{tag} {archive.stat().st_size / 1e6:.0f} MB, {'unchanged' if unchanged else 'new'}, {time.monotonic() - started:.1f} s"


def build_with_docker(tag: str, arguments: Sequence[str]) -> str:
    """Let Docker build; returns the line for the end."""
    started = time.monotonic()
    say(f"building {tag} with Docker")
    with tempfile.TemporaryDirectory() as temporary:
        run(["docker", "build", "--tag", tag, *arguments], Path(temporary) / "log", f"building {tag}")
    size = subprocess.run(["docker", "image", "inspect", "--format", "{{.Size}}", tag], capture_output=True, text=True, check=True).stdout
    return f"{tag} {int(size) / 1e6:.0f} MB, {time.monotonic() - started:.1f} s"


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="build", description="Builds an image with Docker where it runs, else with buildah.")
    parser.add_argument("-f", "--file", required=True, metavar="DOCKERFILE")
    parser.add_argument("-t", "--tag", required=True)
    parser.add_argument("--build-arg", action="append", default=[], metavar="K=V")
    parser.add_argument("context", metavar="CONTEXT")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    passed = ["--file", options.file, *(word for value in options.build_arg for word in ("--build-arg", value)), options.context]
    for path in (options.file, options.context):
        if not Path(path).exists():
            parser.error(f"{path} does not exist")
    try:
        say(build_with_docker(options.tag, passed) if docker_answers() else build_without_docker(options.tag, passed))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
