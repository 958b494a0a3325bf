"""What `manage.py` does inside the environment: the demo, the tests, and every command of Django and the project.

Every command that may need a database finds the embedded server running, unless DATABASE_URL names another one.
"""

from __future__ import annotations

import os
from pathlib import Path

from provisioning.local import environment
from provisioning.local.database import cluster, postgres

# These never look at the database, so they don't start it.
_WITHOUT_DATABASE = {
    "",
    "help",
    "version",
    "--help",
    "-h",
    "--version",
    "makemessages",
    "compilemessages",
    "collectstatic",
}


def run(argv: list[str]) -> int:
    """Run the command that `argv` names and return the exit status."""
    command = argv[1] if len(argv) > 1 else ""
    try:
        if command == "demo":
            environment.require_pango()
            from provisioning.local.demo import runner

            return runner.main(argv[2:], state_dir())
        if command == "test":
            environment.require_pango()
            from provisioning.local import suite

            return suite.main(argv[2:])
        if command not in _WITHOUT_DATABASE and not {"--help", "-h"} & set(argv) and not os.environ.get("DATABASE_URL"):
            server = postgres.start(state_dir())
            if command == "dbshell" and server.programs:
                os.environ["PATH"] += f"{os.pathsep}{server.programs / 'bin'}"
    except (environment.Problem, cluster.Problem) as problem:
        environment.refuse(str(problem))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provisioning.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(argv)
    return 0


def state_dir() -> Path:
    """The folder for everything that this writes: STATE_DIR, or `.state` beside manage.py."""
    return Path(os.environ.get("STATE_DIR") or environment.ROOT / ".state").resolve()
