"""Django's sessions in the database, with errors of the database passed on unchanged."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore

from provisioning.database.errors import database_is_away


class SessionStore(DatabaseSessionStore):
    """A session that raises an outage of the database as such."""

    def _get_session(self, no_load: bool = False) -> dict[str, Any]:
        """Load the session once. Django loads it inside an except block, which adds an AttributeError to tracebacks."""
        self.accessed = True
        if not hasattr(self, "_session_cache"):
            self._session_cache = {} if self.session_key is None or no_load else self.load()
        return self._session_cache

    _session = property(_get_session)

    def save(self, must_create: bool = False) -> None:
        """Write the session. Django treats every failure as a deleted session, and answers 400."""
        try:
            super().save(must_create)
        except UpdateError as problem:
            cause = problem.__context__
            if cause is not None and database_is_away(cause):
                raise cause from cause.__cause__
            raise
