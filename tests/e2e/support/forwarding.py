"""A port of the cluster on loopback that survives the death of the pod behind it."""

import socket
import subprocess
import threading
import urllib.error
import urllib.request
from types import TracebackType
from typing import Self

from installation import Installation
from polling import until


class Forward:
    """`kubectl port-forward` on a fixed local port, started again whenever it ends (it ends with the pod it picked)."""

    def __init__(self, installation: Installation, target: str, port: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.local_port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.local_port}"
        self._command = [
            installation.kubectl_path,
            f"--kubeconfig={installation.kubeconfig}",
            f"--namespace={installation.namespace}",
            "port-forward",
            target,
            f"{self.local_port}:{port}",
        ]
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def _keep(self) -> None:
        while not self._ended.is_set():
            self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            assert self._process.stderr is not None
            for line in self._process.stderr:  # it stays after the pod is gone, and says so only here
                if b"lost connection to pod" in line or b"error" in line.lower():
                    self._process.kill()
            self._process.stderr.close()
            self._process.wait()
            self._ended.wait(0.2)

    def answers(self) -> bool:
        """Whether anything speaks HTTP there."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url, timeout=2):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            return False

    def __enter__(self) -> Self:
        self._thread.start()
        until(self.answers, f"{self.url} to answer")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join(timeout=10)
