"""Django's sessions in the database, with errors of the database passed on unchanged."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.utils import timezone

from provisioning.database.errors import database_is_away

# Of a session in which nobody is signed in.
ANONYMOUS_SECONDS: Final = 60 * 60


class SessionStore(DatabaseSessionStore):
    """A session that raises an outage of the database as such."""

    def _get_session(self, no_load: bool = False) -> dict[str, Any]:
        """Load the session once. Django loads it inside an except block, which adds an AttributeError to tracebacks."""
        self.accessed = True
        if not hasattr(self, "_session_cache"):
            self._session_cache = {} if self.session_key is None or no_load else self.load()
        return self._session_cache

    _session = property(_get_session)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Return for how many seconds the session lasts: an hour where nobody is signed in."""
        age = super().get_expiry_age(**kwargs)
        return age if SESSION_KEY in self._session else min(age, ANONYMOUS_SECONDS)

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return when the session ends."""
        return timezone.now() + timedelta(seconds=self.get_expiry_age(**kwargs))

    def save(self, must_create: bool = False) -> None:
        """Write the session. Django treats every failure as a deleted session, and answers 400."""
        try:
            super().save(must_create)
        except UpdateError as problem:
            cause = problem.__context__
            if cause is not None and database_is_away(cause):
                raise cause from cause.__cause__
            raise
