"""What makes an unmodified client talk to the emulator: four environment variables, read at the start of its process.

Surprising: they must be there when the process is started. Go copies the environment at its start, so a later change from within
Python is not seen.
"""

from pathlib import Path

PRELOAD = Path(__file__).parent / "preload"
"""The folder with the `sitecustomize.py` that swaps the Noise root key."""


def variables(*, proxy: str, ca_file: str, python_path: str, root_key: str) -> dict[str, str]:
    """The environment: the proxy's URL, the path of the authority's certificate, the preload's folder, the root key in hex."""
    return {"HTTPS_PROXY": proxy, "SSL_CERT_FILE": ca_file, "PYTHONPATH": python_path, "WAEMU_ROOT_PUB": root_key}


def client_env(state: Path | str, proxy_port: int, *, host: str = "127.0.0.1") -> dict[str, str]:
    """The environment of a client on this machine, for an emulator with this state directory (made if it is not there)."""
    from waemulator import pki  # noqa: PLC0415  heavy, and the package's first import is this module

    keys = pki.create(Path(state))
    proxy = f"http://{host}:{proxy_port}"
    return variables(proxy=proxy, ca_file=str(keys.ca_file), python_path=str(PRELOAD), root_key=keys.root.public.hex())
