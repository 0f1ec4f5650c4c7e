"""The picture of a QR code holds the code, and is drawn once."""

import asyncio
import base64
import io

import pytest
import zxingcpp
from PIL import Image

from wasession_api import qrimage
from wasession_api.qrimage import QrImages, data_url

pytestmark = pytest.mark.unit
CODES = ["2@abc", "2@" + "aB3+/=," * 34 + "ñ", "x" * 1024]


def read_back(url: str) -> list[str]:
    """What an independent reader finds in a picture."""
    head, data = url.split(",", 1)
    assert head == "data:image/png;base64"
    return [found.text for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(base64.b64decode(data))))]


@pytest.mark.parametrize("code", CODES, ids=len)
def test_the_picture_is_read_back_to_the_code(code: str) -> None:
    assert read_back(data_url(code)) == [code]


async def test_a_code_is_drawn_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(code: str) -> str:
        drawn.append(code)
        return f"picture of {code}"

    monkeypatch.setattr(qrimage, "data_url", draw)
    images = QrImages()
    try:
        assert set(await asyncio.gather(*(images.of("a") for _ in range(20)))) == {"picture of a"}
        assert await images.of("b") == "picture of b"
        assert drawn == ["a", "b"]
    finally:
        images.close()


async def test_old_pictures_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(qrimage, "data_url", lambda code: drawn.append(code) or code)
    monkeypatch.setattr(qrimage, "CACHED_CODES", 2)
    images = QrImages()
    try:
        for code in ("a", "b", "c", "b", "a"):
            await images.of(code)
        assert drawn == ["a", "b", "c", "a"]
    finally:
        images.close()
