"""How gunicorn serves the product: `manage.py serve`, and `gunicorn -c provisioning/deployment/gunicorn.py` without it.

Environment variables: PORT, WEB_CONCURRENCY (processes), FORWARDED_ALLOW_IPS, BEHIND_PROXY.
"""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured

from provisioning.deployment import metrics_folder
from provisioning.env import Env

_env = Env()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


try:
    _port = _env.number("PORT", default=0, least=0, most=65535)
    workers = _env.number("WEB_CONCURRENCY", default=max(2, _cores()), least=1)
except ImproperlyConfigured as problem:
    sys.exit(f"gunicorn: {problem}")

wsgi_app = "provisioning.wsgi"
# A platform that sets PORT asks from outside of the container or host; otherwise a proxy on this machine does.
bind = f"0.0.0.0:{_port}" if _port else "127.0.0.1:8000"
# One process a core, since Python runs one thread at a time; eight requests at once in each, since they wait for the
# database. The application is loaded once, before the fork: processes share memory, and it is checked once.
worker_class = "gthread"
threads = 8
# A thread uses one connection at a time.
os.environ.setdefault("DATABASE_POOL", str(threads + 1))
preload_app = True
# Longer than a proxy keeps an idle connection (nginx: 60 s): whoever closes first must not be this side, as the other
# one may be sending its next request just then.
keepalive = 75
timeout = 60
graceful_timeout = 30
# A process is replaced now and then, so that no leak grows for weeks; not all of them at once.
max_requests = 20_000
max_requests_jitter = 2_000
# The heartbeat file must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
control_socket_disable = True
_proxies = "*" if _env.bool("BEHIND_PROXY", default=False) else "127.0.0.1,::1"
forwarded_allow_ips = _env.str("FORWARDED_ALLOW_IPS", default=_proxies)
# provisioning.monitoring.middleware logs requests: gunicorn's own lines would have the tokens of links in them.
# The processes share their counters; `serve` has made the folder before.
if __name__ == "__config__":  # read by gunicorn itself
    metrics_folder.prepare()
