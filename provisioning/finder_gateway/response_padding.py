"""Pads the size and the time of the finder's responses, so that they reveal no search result (a side channel).

Without padding, the length of a response and its duration would show that an organization was found but withheld.
"""

from __future__ import annotations

import base64
import hashlib
import math
import time
from collections.abc import Callable
from functools import cache, wraps
from typing import Concatenate, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import SimpleTemplateResponse

# Bytes. A page without any candidate has 15,000 and one with six of them 30,000.
SIZE: Final = 32 * 1024
_BEGIN, _END = b"\n<!-- ", b" -->\n"


def pad_response(response: HttpResponseBase) -> HttpResponseBase:
    """Pad a rendered page to a multiple of SIZE bytes with incompressible text; leave other responses as they are."""
    if isinstance(response, SimpleTemplateResponse):
        response.render()
        length = len(response.content) + len(_BEGIN) + len(_END)
        response.content += _BEGIN + _filler()[: math.ceil(length / SIZE) * SIZE - length] + _END
    return response


# Emailing an organization's administrators takes longer the more there are: a second is enough for a hundred.
ADMINISTRATOR_REQUEST_STEPS: Final = 20


def pad_time(since: float, times: int = 1) -> None:
    """Wait until the time since then (``time.monotonic``) is a multiple of so many ``settings.RESPONSE_PADDING_MS``."""
    every = times * settings.RESPONSE_PADDING_MS / 1000
    if every:
        time.sleep(every - (time.monotonic() - since) % every)


def pad_post_time[**P](view: Callable[Concatenate[HttpRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a view whose POST emails an organization's administrators: its time does not depend on how many."""

    @wraps(view)
    def answered(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        begun = time.monotonic()
        response = view(request, *args, **kwargs)
        if request.method == "POST":
            pad_time(begun, ADMINISTRATOR_REQUEST_STEPS)
        return response

    return answered


@cache
def _filler() -> bytes:
    return base64.b64encode(hashlib.shake_256(b"alike").digest(SIZE))
