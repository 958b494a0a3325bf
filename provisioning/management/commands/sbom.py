"""Write the software bill of materials: every locked package, as CycloneDX."""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Command(BaseCommand):
    """``sbom``: from requirements.txt alone, offline. The same lock gives the same file."""

    help = "Write the software bill of materials (CycloneDX 1.6, JSON) of requirements.txt on stdout."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the bill."""
        self.stdout.write(json.dumps(bill(Path(settings.BASE_DIR)), indent=1))


def bill(root: Path) -> dict[str, Any]:
    """Return the bill of materials of the project in a folder."""
    text = (root / "requirements.txt").read_text()
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    components: list[dict[str, Any]] = []
    for entry in text.replace("\\\n", " ").splitlines():
        if pin := _PIN.match(entry):
            name = re.sub(r"[-_.]+", "-", pin[1]).lower()
            purl = f"pkg:pypi/{name}@{pin[2]}"
            # A package has a file for each platform; the lock has the hashes of all of them.
            hashes = [{"alg": "SHA-256", "content": each} for each in _HASH.findall(entry)]
            component = {"type": "library", "bom-ref": purl, "name": name, "version": pin[2], "purl": purl}
            components.append(component | {"hashes": hashes})
    own = {"type": "application", "bom-ref": project["name"], "name": project["name"], "version": project["version"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [each["bom-ref"] for each in components]}],
    }
