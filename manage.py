#!/usr/bin/env python3
"""The one command of this project; `python3 manage.py demo` and `python3 manage.py test` need nothing before them.

This file and what it imports before `environment.enter` run on Python 3.8 with the standard library only: whatever
`python3` is, it makes the project's `.venv` where it is missing and goes on inside it.
"""

import sys


def main() -> int:
    """Enter the environment, start the embedded database where the command needs one, and run the command."""
    if sys.version_info < (3, 8) or sys.platform == "win32":
        sys.stderr.write("manage.py: Run this with Python 3.8 or newer, on Linux or macOS (on Windows: in WSL).\n")
        return 1
    from provisioning.local import environment

    environment.enter(__file__, sys.argv[1:])
    from provisioning.local import commands

    return commands.run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
