"""The product as a WSGI application: `gunicorn provisioning.wsgi`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from provisioning.local import commands
from provisioning.local.database import postgres

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provisioning.settings")
if not os.environ.get("DATABASE_URL"):
    postgres.start(commands.state_dir())
application = get_wsgi_application()
