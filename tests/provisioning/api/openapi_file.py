"""The copy of the OpenAPI document in the repository: ``python -m tests.provisioning.api.openapi_file`` writes it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

FILE = Path(__file__).resolve().parents[3] / "provisioning" / "api" / "openapi.json"


def text_of_document() -> str:
    """Return the document as the file has it."""
    from provisioning.api.routers import openapi_document

    return json.dumps(openapi_document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    FILE.write_text(text_of_document())
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()[:16]
    print(f'Written. Say what changed in provisioning/api/changelog.py; its document is "{digest}".')
