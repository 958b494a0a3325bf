"""Which scripts the fonts of this machine can write: names of organizations and places come in any of them.

Asks fontconfig, as Pango does when a PDF is made. A script without a font doesn't stop a PDF; its letters are boxes.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Mapping
from typing import Final

# Some letters that a font of the script has all of.
SCRIPTS: Final[Mapping[str, str]] = {
    "Latin": "Aßéłğ", "Greek": "Ωή", "Cyrillic": "Жщ", "Chinese": "东東", "Japanese": "かカ東", "Korean": "한국",
    "Arabic": "شة", "Hebrew": "אם", "Thai": "ก็", "Devanagari": "कि", "Bengali": "কি", "Tamil": "கி",
    "Georgian": "ქა", "Armenian": "Հա", "Ethiopic": "አማ",
}  # fmt: skip
# Debian's packages.
_CJK = frozenset({"Chinese", "Japanese", "Korean"})


class _FontSet(ctypes.Structure):
    _fields_ = [("nfont", ctypes.c_int), ("sfont", ctypes.c_int), ("fonts", ctypes.c_void_p)]


def package_of(script: str) -> str:
    """The Debian package that has a font for this script."""
    return "fonts-noto-cjk" if script in _CJK else "fonts-noto-core"


def missing() -> list[str] | None:
    """The scripts that no font here can write; None where there is no fontconfig to ask, and so no Pango either."""
    name = ctypes.util.find_library("fontconfig")
    if not name:
        return None
    fc = ctypes.CDLL(name)
    fc.FcCharSetCreate.restype = fc.FcPatternCreate.restype = fc.FcObjectSetCreate.restype = ctypes.c_void_p
    fc.FcFontList.restype = ctypes.POINTER(_FontSet)
    return [script for script, letters in SCRIPTS.items() if not _has_font(fc, letters)]


def _has_font(fc: ctypes.CDLL, letters: str) -> bool:
    """Whether one font has all of these letters."""
    charset = ctypes.c_void_p(fc.FcCharSetCreate())
    pattern = ctypes.c_void_p(fc.FcPatternCreate())
    wanted = ctypes.c_void_p(fc.FcObjectSetCreate())
    for letter in letters:
        fc.FcCharSetAddChar(charset, ctypes.c_uint32(ord(letter)))
    fc.FcPatternAddCharSet(pattern, b"charset", charset)
    fc.FcObjectSetAdd(wanted, b"family")
    found = fc.FcFontList(None, pattern, wanted)
    count = int(found.contents.nfont) if found else 0
    if found:
        fc.FcFontSetDestroy(found)
    fc.FcObjectSetDestroy(wanted)
    fc.FcPatternDestroy(pattern)
    fc.FcCharSetDestroy(charset)
    return count > 0
