"""QR codes as PNG data URLs, each drawn once, off the event loop, and shared by all who ask.

Surprising: the mask is fixed. Choosing the best of eight costs 45 ms instead of 5 ms, and every reader takes any of them.
"""

import asyncio
import base64
import io
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import qrcode
from PIL import Image

PIXELS_PER_MODULE = 4  # the original's (node-qrcode) scale and margin
MARGIN_MODULES = 4
MASK = 0
CACHED_CODES = 2048  # about 2 KiB each


def data_url(code: str) -> str:
    """The picture of a QR code as `data:image/png;base64,...`."""
    drawing = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=MARGIN_MODULES, mask_pattern=MASK)
    drawing.add_data(code, optimize=0)
    matrix = drawing.get_matrix()
    side = len(matrix)
    small = Image.frombytes("L", (side, side), bytes(0 if dark else 255 for row in matrix for dark in row))
    picture = small.resize((side * PIXELS_PER_MODULE, side * PIXELS_PER_MODULE), Image.Resampling.NEAREST).convert("1")
    png = io.BytesIO()
    picture.save(png, format="PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


class QrImages:
    """The newest pictures by code. One thread draws: more would only take the event loop's time."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[str, asyncio.Future[str]] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qr")

    async def of(self, code: str) -> str:
        """The picture of `code` as a data URL."""
        future = self._drawn.get(code)
        if future is None:
            future = asyncio.get_running_loop().run_in_executor(self._thread, data_url, code)
            self._drawn[code] = future
            while len(self._drawn) > CACHED_CODES:
                self._drawn.popitem(last=False)
        return await asyncio.shield(future)

    def close(self) -> None:
        """End the drawing thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
