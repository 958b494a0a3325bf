"""The product as a WSGI application: `manage.py serve`, or `gunicorn -c provisioning/deployment/gunicorn.py`."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from provisioning.deployment import readiness
from provisioning.local import commands
from provisioning.local.database import cluster

_LOAD_ERROR = 4  # gunicorn ends at this status of a process, instead of starting it again and again

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provisioning.settings")
try:
    commands.start_server()
    application = get_wsgi_application()
    commands.require_for_pages("wsgi")
except (ImproperlyConfigured, cluster.Problem, readiness.NotReady) as problem:
    commands.say(str(problem), "wsgi")
    sys.exit(_LOAD_ERROR)
