"""Makes the pages of the organization finder alike in size and time, whatever was found.

How long an answer is, and how long it takes, would tell somebody who watches the line, or a clock, what a page doesn't
say: that an organization was found and kept back.
"""

from __future__ import annotations

import base64
import hashlib
import math
import time
from functools import cache
from typing import Final

from django.conf import settings
from django.http import HttpResponseBase
from django.template.response import SimpleTemplateResponse

# Bytes. A page without any candidate has 15,000 and one with six of them 30,000.
SIZE: Final = 32 * 1024
_BEGIN, _END = b"\n<!-- ", b" -->\n"


def pad(response: HttpResponseBase) -> HttpResponseBase:
    """Fill a page up to a multiple of SIZE with what no compression makes shorter; other answers stay as they are."""
    if isinstance(response, SimpleTemplateResponse):
        response.render()
        length = len(response.content) + len(_BEGIN) + len(_END)
        response.content += _BEGIN + _filler()[: math.ceil(length / SIZE) * SIZE - length] + _END
    return response


def wait(since: float) -> None:
    """Wait until the time since then (``time.monotonic``) is a whole multiple of ``settings.EVEN_ANSWERS_MS``."""
    every = settings.EVEN_ANSWERS_MS / 1000
    if every:
        time.sleep(every - (time.monotonic() - since) % every)


@cache
def _filler() -> bytes:
    return base64.b64encode(hashlib.shake_256(b"alike").digest(SIZE))
