"""Bad input at the control API and the command line: a clear answer that names the value, and nothing done."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from waemulator.client import ControlApiError, ControlClient
from waemulator.testing import SOURCE, EmulatorProcess

pytestmark = pytest.mark.integration
OWNER, NOBODY = "491701234567", "4915559999999"
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
QR = f"2@unknown,{KEY},{KEY},{KEY}"


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> ControlClient:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator")) as process:
        process.control.user(OWNER, "Owner")
        yield process.control


@pytest.mark.parametrize(
    ("call", "body", "refusal", "named"),
    [
        ("POST /user", {}, (400, "missing_field"), "'number'"),
        ("POST /user", {"number": 49170}, (400, "bad_field"), "not 49170"),
        ("POST /user", {"number": "../../x"}, (400, "bad_number"), "'../../x'"),
        ("POST /user", {"number": OWNER, "name": 1}, (400, "bad_field"), "name is a str, not 1"),
        ("POST /user", ["a list"], (400, "bad_json"), "a JSON object"),
        ("POST /scan", {"number": NOBODY, "qr": QR}, (404, "unknown_number"), f"{NOBODY}: make it with POST /user"),
        ("POST /scan", {"number": OWNER, "qr": QR}, (410, "qr_expired"), "2@unknown"),
        ("POST /scan", {"number": OWNER, "qr": "no code"}, (400, "bad_qr"), "'no code'"),
        ("POST /scan", {"number": OWNER}, (400, "missing_field"), "'qr'"),
        ("POST /enter_code", {"number": OWNER, "code": "0000-0000"}, (400, "bad_code"), "'0000-0000'"),
        ("POST /enter_code", {"number": OWNER, "code": "ABCD-EFGH"}, (409, "no_pairing_code"), OWNER),
        ("POST /incoming", {"from": NOBODY, "to": OWNER, "text": "x"}, (404, "unknown_number"), NOBODY),
        ("POST /incoming", {"from": OWNER, "to": NOBODY, "text": "x"}, (404, "unknown_number"), NOBODY),
        ("POST /incoming", {"from": OWNER, "to": OWNER, "text": ""}, (400, "bad_field"), "not 0"),
        ("POST /incoming", {"from": OWNER, "to": OWNER, "text": "x" * 65_537}, (400, "bad_field"), "not 65537"),
        ("POST /incoming_media", {"from": OWNER, "to": OWNER, "kind": "hologram"}, (400, "bad_field"), "'hologram'"),
        ("POST /incoming_media", {"from": OWNER, "to": OWNER, "kind": "image", "data": "*"}, (400, "bad_field"), "no base64"),
        ("POST /incoming_message", {"from": OWNER, "to": OWNER}, (400, "missing_field"), "'message' (dict)"),
        ("POST /incoming_message", {"from": OWNER, "to": OWNER, "message": {}}, (400, "bad_message"), "empty"),
        ("POST /incoming_message", {"from": OWNER, "to": OWNER, "message": {"hologram": 1}}, (400, "bad_message"), "hologram"),
        ("POST /incoming_message", {"from": OWNER, "to": OWNER, "message": {"conversation": 1}}, (400, "bad_message"), "conversation"),
        (
            "POST /receipt",
            {"from": OWNER, "to": OWNER, "ids": ["A"], "type": "tasted"},
            (400, "bad_field"),
            "delivered, read, played, not 'tasted'",
        ),
        ("POST /receipt", {"from": OWNER, "to": OWNER, "ids": [], "type": "read"}, (400, "bad_field"), "not []"),
        ("POST /receipt", {"from": OWNER, "to": OWNER, "ids": [1], "type": "read"}, (400, "bad_field"), "not [1]"),
        ("POST /group", {"subject": "S", "members": [OWNER]}, (400, "bad_field"), "at least 2 numbers"),
        ("POST /group", {"subject": "S", "members": [OWNER, NOBODY]}, (404, "unknown_number"), NOBODY),
        ("POST /group", {"members": [OWNER, OWNER]}, (400, "missing_field"), "'subject'"),
        ("POST /group", {"id": "x@g.us", "subject": "S", "members": [OWNER, OWNER]}, (400, "bad_group"), "'x@g.us'"),
        ("POST /incoming", {"from": OWNER, "to": OWNER, "text": "x", "group": "1@g.us"}, (404, "unknown_group"), "'1@g.us'"),
        ("POST /fault", {"kind": "explode"}, (400, "unknown_kind"), "the kinds are drop"),
        ("POST /fault", {"kind": "drop", "number": NOBODY}, (404, "unknown_number"), NOBODY),
        ("GET /log?since=x", None, (400, "bad_field"), "'x'"),
        ("GET /log?since=-1", None, (400, "bad_field"), "'-1'"),
        ("GET /devices", None, (400, "missing_field"), "number"),
        ("GET /devices?number=" + NOBODY, None, (404, "unknown_number"), NOBODY),
        ("GET /fault", None, (405, "no_such_call"), "GET /fault"),
        ("POST /healthz", {}, (405, "no_such_call"), "POST /healthz"),
        ("DELETE /user", None, (405, "no_such_call"), "DELETE /user"),
        ("GET /", None, (404, "no_such_call"), "POST /scan"),
        ("GET /..%2f..%2fetc%2fpasswd", None, (404, "no_such_call"), "the calls are"),
    ],
)
def test_a_bad_call_is_refused_and_the_value_named(
    control: ControlClient, call: str, body: object, refusal: tuple[int, str], named: str
) -> None:
    before = [one for one in control.log() if one["kind"] != "proxy"]
    with pytest.raises(ControlApiError) as refused:
        control.call(*call.split(" ", 1), body)
    assert (refused.value.status, refused.value.code) == refusal
    assert named in refused.value.message
    assert "Traceback" not in refused.value.message
    assert control.log() == before
    with pytest.raises(ControlApiError, match=NOBODY):
        control.devices(NOBODY)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'"text"', b"null"])
def test_a_body_that_is_no_json_object_is_refused(control: ControlClient, body: bytes) -> None:
    request = urllib.request.Request(control.base_url + "/user", body, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as refused, opener.open(request):
        pass
    with refused.value as answer:
        assert (answer.code, json.load(answer)["code"]) == (400, "bad_json")


def test_a_proxy_in_the_environment_is_not_used(control: ControlClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ControlClient(control.base_url).healthy()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "waemulator", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--state", str(tmp_path), "--proxy-port", "0", "--control-port", port)
    assert done.returncode == 1
    assert f"waemulator: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_directory_in_use_is_named(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path):
        done = run("serve", "--state", str(tmp_path), "--proxy-port", "0", "--control-port", "0")
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"another emulator is using {tmp_path}: stop it or give another --state")


def test_keys_that_are_missing_are_named(tmp_path: Path) -> None:
    done = run("serve", "--state", str(tmp_path / "state"), "--pki", str(tmp_path))
    assert done.returncode == 1
    assert "has no ca.pem, tls.pem, noise.json: make them with" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process = EmulatorProcess(tmp_path).start()
    assert process.pid is not None
    os.kill(process.pid, number)
    assert process.stop() == 0
    assert "Traceback" not in (tmp_path / "emulator.log").read_text()
    process.start()
    assert [one["kind"] for one in process.control.log()] == ["started", "stopped", "started"]
    process.stop()


def test_the_environment_is_printed_for_a_process_here(tmp_path: Path) -> None:
    done = run("env", "--state", str(tmp_path), "--proxy-port", "4711")
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert variables["HTTPS_PROXY"] == "http://127.0.0.1:4711"
    assert Path(variables["SSL_CERT_FILE"]).exists()
    assert (Path(variables["PYTHONPATH"]) / "sitecustomize.py").exists()
    assert run("init", "--state", str(tmp_path)).returncode == 0
    assert json.loads(run("init", "--state", str(tmp_path)).stdout)["root_key"] == variables["WAEMU_ROOT_PUB"]
