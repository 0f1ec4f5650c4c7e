"""How this machine reaches package archives, as files that a RUN step sees at build time and the image never holds.

What is surprising: they are mounted over paths that the base image already has (a directory, or a file of the same meaning), because a
mount point that has to be made would stay in the image as an empty file. Only settings about reaching an archive are taken: a
`find-links`, a `target` or a `user` of this machine would change what is installed.
"""

import configparser
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

CA_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"
CA_ON_HOSTS = (CA_IN_IMAGE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
APT_KEYS = re.compile(r"^Acquire::(https?(::.*)?|Retries|Check-Valid-Until|Check-Date|ForceIPv[46]) ", re.IGNORECASE)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRRORS = {"Debian": "http://deb.debian.org/debian", "Debian-Security": "http://deb.debian.org/debian-security"}
SUITES = {"Debian": "bookworm bookworm-updates", "Debian-Security": "bookworm-security"}
# What the base image has there already; the directory that is mounted must keep it.
BASE_APT_CONF = 'APT::Install-Recommends "false";\nAcquire::Languages "none";\nAcquire::GzipIndexes "true";\n'


def pip_settings(env: Mapping[str, str], files: list[Path]) -> dict[str, str]:
    """What `env` (PIP_*) and `files` (weakest first) say about reaching a package index, in pip's own order of precedence."""
    found: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        parser.read(path)
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.lower().replace("_", "-"): value for key, value in parser.items(section)}
    found |= {key[4:].lower().replace("_", "-"): value for key, value in env.items() if key.startswith("PIP_")}
    return {key: found[key] for key in ("cert", *PIP_KEYS) if found.get(key)}


def pip_files(env: Mapping[str, str]) -> list[Path]:
    """The files that pip reads on this machine, weakest first (pip's documentation, "Configuration")."""
    if env.get("PIP_CONFIG_FILE"):
        return [Path(env["PIP_CONFIG_FILE"])]
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  falls back to the user database when HOME is unset, and never raises
    return [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]


def debian_sources(index_targets: str) -> str:
    """The archive's sources for the base image's release, from this machine's mirrors.

    `index_targets` has lines of REPO_URI|LABEL|ORIGIN as apt-get prints them; a machine that is no Debian gets Debian's own address.
    """
    mirrors = dict(MIRRORS)
    for line in index_targets.splitlines():
        uri, label, origin = line.split("|")
        if origin == "Debian" and label in mirrors and uri.startswith(("http:", "https:")):
            mirrors[label] = uri.rstrip("/")
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: {}\n"
    return "\n".join(stanza.format(uri, SUITES[label], KEYRING) for label, uri in mirrors.items())


def apt_settings(config_dump: str) -> str:
    """The lines of `apt-config dump` about reaching an archive."""
    return "".join(f"{line}\n" for line in config_dump.splitlines() if APT_KEYS.match(line) and not line.endswith(' "";'))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def write(directory: Path, env: Mapping[str, str]) -> list[str]:
    """Write the settings into `directory` and return the volumes (HOST:IMAGE:ro) that bring them to RUN steps."""
    pip = pip_settings(env, pip_files(env))
    bundles = [pip.pop("cert", ""), env.get("SSL_CERT_FILE", ""), *CA_ON_HOSTS]
    bundle = next((path for path in bundles if path and Path(path).is_file()), None)
    if bundle is not None:
        shutil.copyfile(bundle, directory / "ca.crt")
        pip["cert"] = CA_IN_IMAGE
    parser = configparser.RawConfigParser()
    parser["global"] = pip
    (directory / "xdg/pip").mkdir(parents=True)
    with (directory / "xdg/pip/pip.conf").open("w") as file:
        parser.write(file)
    targets = ("apt-get", "indextargets", "--format", "$(REPO_URI)|$(LABEL)|$(ORIGIN)", "Created-By: Packages")
    (directory / "debian.sources").write_text(debian_sources(_output(*targets)))
    (directory / "apt.conf").write_text(apt_settings(_output("apt-config", "dump")))
    (directory / "apt.conf.d").mkdir()
    (directory / "apt.conf.d/99slim").write_text(BASE_APT_CONF + (directory / "apt.conf").read_text())
    auth = Path("/etc/apt/auth.conf.d")
    if auth.is_dir():
        shutil.copytree(auth, directory / "auth.conf.d")
    else:
        (directory / "auth.conf.d").mkdir()
    mounts = {
        "xdg": "/etc/xdg",
        "debian.sources": "/etc/apt/sources.list.d/debian.sources",
        "apt.conf.d": "/etc/apt/apt.conf.d",
        "auth.conf.d": "/etc/apt/auth.conf.d",
    }
    mounts |= {"ca.crt": CA_IN_IMAGE} if bundle is not None else {}
    return [f"{directory / name}:{path}:ro" for name, path in mounts.items()]
