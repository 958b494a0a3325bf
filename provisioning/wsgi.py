"""The product as a WSGI application: `gunicorn provisioning.wsgi`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provisioning.settings")
application = get_wsgi_application()
