"""What a session pod's process has imported, and that what it has not imported yet is there when it is wanted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import wasession_pod

pytestmark = pytest.mark.integration

NEVER_IN_A_POD = {
    "PIL",
    "aiohttp",
    "ast",
    "bs4",
    "click",
    "concurrent.futures.process",
    "fastapi",
    "google.protobuf.internal.python_message",
    "http.server",
    "httpx",
    "kubernetes",
    "linkpreview",
    "magic",
    "multiprocessing",
    "neonize.ext.interactive_message",
    "phonenumbers",
    "pickle",
    "pydantic",
    "pygments",
    "requests",
    "rich",
    "segno",
    "tqdm",
    "typing_extensions",
    "unittest",
    "urllib.request",
    "urllib3",
    "uvicorn",
    "wsgiref",
    "zipfile",
}
"""Each costs 0.2 to 12 MB of memory in every pod: docs/explanation/performance.md."""

NOT_BEFORE_THE_QR_CODE = {"prometheus_client", "wasession_pod.exposition", "wsproto"}
"""A session imports them later, or never; together an eighth of what a start takes until it connects."""

# __main__ without the last line, which would run a session.
START = (Path(wasession_pod.__file__).parent / "__main__.py").read_text().removesuffix("main()\n")


def in_a_pod(*lines: str) -> object:
    """What `answer` is at the end of these lines, in a process that has imported what a pod imports."""
    code = [
        "import os, sys",
        START,
        "import wasession_pod.main, wasession_pod.whatsapp",
        *lines,
        "import json",
        "sys.stderr.write(json.dumps(answer))",
    ]
    code += ["sys.stderr.flush()", "os._exit(0)"]  # neonize's threads would keep it
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr)


def test_a_pod_imports_nothing_that_a_session_hardly_uses() -> None:
    imported = in_a_pod("answer = sorted(sys.modules)")
    assert isinstance(imported, list)
    assert (NEVER_IN_A_POD | NOT_BEFORE_THE_QR_CODE) & set(imported) == set()


def test_an_image_library_comes_when_it_is_wanted() -> None:
    lines = ("from neonize.utils import calc", "image = calc.Image.new('RGB', (8, 4))", "answer = [calc.auto_sticker(image).size]")
    assert in_a_pod(*lines, "answer += ['PIL.Image' in sys.modules, isinstance(image, calc.Image.Image)]") == [[512, 512], True, True]


def test_a_media_type_is_found_by_the_file() -> None:
    assert in_a_pod("from neonize.utils.enum import MediaType", "answer = MediaType.from_magic(b'%PDF-1.4').name") == "MediaDocument"


def test_a_phone_number_library_comes_when_it_is_wanted() -> None:
    lines = (
        "from neonize import utils",
        "answer = utils.format_number(utils.parse('+573001234567'), utils.PhoneNumberFormat.INTERNATIONAL)",
    )
    assert in_a_pod(*lines) == "+57 300 1234567"


def test_other_imports_get_the_real_module() -> None:
    assert in_a_pod("import zipfile, requests, concurrent.futures", "answer = [requests.codes.ok, zipfile.ZIP_STORED]") == [200, 0]
    assert in_a_pod("import concurrent.futures", "answer = concurrent.futures.ProcessPoolExecutor.__name__") == "ProcessPoolExecutor"


def test_messages_are_of_one_class_wherever_it_comes_from() -> None:
    lines = (
        "from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as ours",
        "from waE2E import WAWebProtobufsE2E_pb2 as theirs",
        "from neonize.proto import Neonize_pb2",
        "event = Neonize_pb2.Message(Message=ours.Message(imageMessage=ours.ImageMessage(caption='una foto')))",
        "again = ours.Message.FromString(event.Message.SerializeToString())",
        "answer = [again.imageMessage.caption, type(again.imageMessage) is ours.ImageMessage is theirs.ImageMessage]",
    )
    assert in_a_pod(*lines) == ["una foto", True]


def test_a_message_that_protobuf_does_not_know_is_an_attribute_error() -> None:
    assert in_a_pod("from neonize.proto import Neonize_pb2", "answer = hasattr(Neonize_pb2, 'NoSuchMessage')") is False
