"""The copy of the OpenAPI document in the repository, and its changelog.

``python -m tests.provisioning.api.openapi_file "What changed."`` writes the copy and adds the entry of the change.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.api.changelog import Change

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "provisioning" / "api" / "openapi.json"
_ENTRIES = "CHANGES: Final = (\n"


def text_of_document() -> str:
    """Return the document as the file has it."""
    from provisioning.api.routers import openapi_document

    return json.dumps(openapi_document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def digest_of(text: str) -> str:
    """Return what an entry of the changelog says of its document: 16 digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fault_of(changes: Sequence[Change], *, digest: str, before: str | None) -> str:
    """Return what is wrong with the entries of the changelog, the newest first; "" if nothing is.

    :param digest: of the document as it is.
    :param before: of the document before the last change, as it was committed; None where that isn't known.
    """
    said = [change.document for change in changes if change.document]
    if not changes or changes[0].document != digest:
        return "The document has changed: it needs an entry of its own in changelog.py."
    if len(set(said)) < len(said):
        return "Two entries of changelog.py have the same document."
    if before is not None and before not in said:
        return "The entry of an earlier change was used again: each change needs an entry of its own in changelog.py."
    return ""


def digest_before() -> str | None:
    """Return the digest of the file before its last change: in the last commit, or else in the one before that.

    None without Git, and where the last commit is a merge, which may join two changes.
    """
    if FILE.read_text() != (committed := _committed("HEAD")):
        return digest_of(committed) if committed else None
    return digest_of(earlier) if not _committed("HEAD^2") and (earlier := _committed("HEAD^")) else None


def _committed(revision: str) -> str | None:
    name = f"{revision}:{FILE.relative_to(ROOT).as_posix()}"
    try:
        found = subprocess.run(["git", "show", name], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return found.stdout if found.returncode == 0 else None


def write(what: str) -> str:
    """Write the document and the entry of its change; return what was done. Raises SystemExit without ``what``."""
    from provisioning.api import changelog

    text = text_of_document()
    if FILE.read_text() == text:
        return "Nothing has changed."
    if not what:
        raise SystemExit('Say what changed: python -m tests.provisioning.api.openapi_file "What changed."')
    FILE.write_text(text)
    module = Path(changelog.__file__)
    entry = f"    Change({json.dumps(changelog.VERSIONS[-1])}, {json.dumps(what)}, {json.dumps(digest_of(text))}),\n"
    module.write_text(module.read_text().replace(_ENTRIES, _ENTRIES + entry, 1))
    return "The document and its entry in provisioning/api/changelog.py are written."


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    print(write(" ".join(sys.argv[1:])))
