"""Building images without Docker (with it, what is not Docker's own is still asked for)."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

HAS_DOCKER = shutil.which("docker") is not None and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
FROM = "ARG PYTHON=python:3.11-slim\nFROM ${PYTHON}\n"


@dataclass(frozen=True)
class Builder:
    """The command, a context of its own and the images that it made."""

    command: Path
    context: Path
    cache: Path
    tags: list[str]

    def start(self, tag: str, dockerfile: str, **env: str) -> subprocess.Popen[str]:
        self.tags.append(tag)
        file = self.context / f"Dockerfile.{tag.rpartition(':')[2]}"
        file.write_text(FROM + dockerfile)
        command = [self.command, "-f", file, "-t", tag, self.context]
        return subprocess.Popen(command, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def build(self, tag: str, dockerfile: str, **env: str) -> subprocess.CompletedProcess[str]:
        process = self.start(tag, dockerfile, **env)
        out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def exported(self, tag: str, suffix: str) -> Path:
        return self.cache / "images/store" / (tag.replace("/", "_").replace(":", "_") + suffix)

    def archive(self, tag: str) -> bytes:
        """The image as `docker save` writes it."""
        if HAS_DOCKER:
            return subprocess.run(["docker", "save", tag], capture_output=True, check=True).stdout
        return self.exported(tag, ".tar").read_bytes()

    def file(self, tag: str, path: str) -> str:
        """What a file in the image holds."""
        with tarfile.open(fileobj=io.BytesIO(self.archive(tag))) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))
            for layer in reversed(manifest[0]["Layers"]):
                with tarfile.open(fileobj=archive.extractfile(layer)) as files:
                    if path in files.getnames():
                        return files.extractfile(path).read().decode()
        raise FileNotFoundError(path)


@pytest.fixture
def builder(repo: Path, tmp_path: Path) -> Iterator[Builder]:
    if not HAS_DOCKER and (os.geteuid() != 0 or shutil.which("apt-get") is None):
        pytest.skip("needs Docker, or root and apt")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wasession/devcluster"
    made = Builder(repo / "devcluster/images/build", tmp_path, Path(os.environ.get("DEVCLUSTER_CACHE") or default), [])
    yield made
    for tag in made.tags:
        for suffix in (".tar", ".id", ".steps"):
            made.exported(tag, suffix).unlink(missing_ok=True)


def test_a_step_runs_once_while_what_it_depends_on_is_unchanged(builder: Builder) -> None:
    tag = "localhost/wasession/image-test:cache"
    dockerfile = f"RUN cat /proc/sys/kernel/random/uuid > /value; : {uuid.uuid4()}\nCOPY source /source\n"
    (builder.context / "source").write_text("one")
    assert builder.build(tag, dockerfile).returncode == 0
    value = builder.file(tag, "value")
    (builder.context / "source").write_text("two")
    assert builder.build("localhost/wasession/image-test:other", f"RUN : {uuid.uuid4()}\n").returncode == 0, "tidies up after itself only"

    done = builder.build(tag, dockerfile)

    assert done.returncode == 0, done.stderr
    assert builder.file(tag, "value") == value
    assert builder.file(tag, "source") == "two"


@pytest.mark.skipif(HAS_DOCKER, reason="nothing is exported where there is Docker")
def test_an_unchanged_image_is_not_exported_again(builder: Builder) -> None:
    tag = "localhost/wasession/image-test:export"
    assert builder.build(tag, "RUN touch /here\n").returncode == 0
    written = builder.exported(tag, ".tar").stat().st_mtime_ns
    image = builder.exported(tag, ".id").read_text()

    assert builder.build(tag, "RUN touch /here\n").returncode == 0

    assert builder.exported(tag, ".tar").stat().st_mtime_ns == written
    assert builder.exported(tag, ".id").read_text() == image
    with tarfile.open(builder.exported(tag, ".tar")) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        config = archive.extractfile(manifest["Config"]).read()
    assert manifest["RepoTags"] == [tag]
    assert image.strip() == f"sha256:{hashlib.sha256(config).hexdigest()}"


def test_a_failing_step_is_told_and_leaves_no_image(builder: Builder) -> None:
    tag = f"localhost/wasession/image-test:failing-{uuid.uuid4()}"

    done = builder.build(tag, "RUN echo half > /half && echo the reason why >&2 && exit 3\n")

    assert done.returncode == 1
    assert "the reason why" in done.stderr
    assert f"building {tag} failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not builder.exported(tag, ".tar").exists()
    assert not builder.exported(tag, ".id").exists()


@pytest.mark.skipif(HAS_DOCKER, reason="Docker has its own ways to settings of the machine")
def test_settings_of_this_machine_reach_a_step_and_not_the_image(builder: Builder) -> None:
    tag = "localhost/wasession/image-test:settings"
    secret = f"only-this-machine-{uuid.uuid4()}.example"
    steps = (
        f"RUN : {uuid.uuid4()}",
        "RUN pip config list | sed -n \"s/^global.trusted-host='\\(.*\\)'/\\1/p\" | tr -d '\\n' | sha256sum > /seen",
        "RUN pip config list | grep -c find-links > /links || true",
    )

    done = builder.build(tag, "\n".join(steps) + "\n", PIP_TRUSTED_HOST=secret, PIP_FIND_LINKS="/local-wheels")

    assert done.returncode == 0, done.stderr
    assert builder.file(tag, "seen").split()[0] == hashlib.sha256(secret.encode()).hexdigest()
    assert builder.file(tag, "links").strip() == "0"
    archive = builder.archive(tag)
    assert secret.encode() not in archive
    assert b"/local-wheels" not in archive


def test_pip_and_apt_work_in_a_step(builder: Builder) -> None:
    tag = "localhost/wasession/image-test:tools"
    steps = (
        "RUN apt-get update && apt-get install -y --no-install-recommends media-types",
        "RUN pip install --no-cache-dir iniconfig && python -c 'import iniconfig' && python3 -c 'import iniconfig'",
        "RUN python -c 'import ssl, sys; assert ssl.create_default_context().get_ca_certs(); print(sys.version_info[:2])' > /version",
        "RUN command -v python > /where",
    )

    done = builder.build(tag, "\n".join(steps) + "\n")

    assert done.returncode == 0, done.stderr
    assert builder.file(tag, "version").strip() == "(3, 11)"
    assert builder.file(tag, "where").strip() == "/usr/local/bin/python"


def test_builds_at_the_same_time_all_end_well(builder: Builder) -> None:
    tags = [f"localhost/wasession/image-test:together-{n}" for n in range(3)]

    running = [builder.start(tag, f"RUN echo {tag} > /name; : {uuid.uuid4()}\n") for tag in tags]
    ended = [(process.communicate(), process.returncode) for process in running]

    assert [code for _, code in ended] == [0, 0, 0], ended
    assert [builder.file(tag, "name").strip() for tag in tags] == tags


def test_a_dockerfile_that_is_not_there_is_named(builder: Builder) -> None:
    command = [sys.executable, builder.command, "-f", "nowhere/Dockerfile", "-t", "localhost/wasession/image-test:none", "."]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "nowhere/Dockerfile does not exist" in done.stderr
