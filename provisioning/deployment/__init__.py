"""How the product runs on a server: readiness, checks, gunicorn, nginx.

``manage.py``, ``wsgi.py``, the worker and the commands import ``readiness``; ``apps.py`` registers ``checks``.
"""
