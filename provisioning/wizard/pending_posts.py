"""Saves a POST whose session had expired until the person signs in again.

The sender is not authenticated, so the fields are stored in the new session and not in the order. After signing in, a
person with access to the order finds them in the step's form, as typed and not yet submitted.
"""

from __future__ import annotations

import json
from typing import Final

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from provisioning.actions.drafts import keepable
from provisioning.people.access import May, access_to
from provisioning.people.visitors import may_keep_answer
from provisioning.wizard.draft_storage import DraftStorage

KEY: Final = "unsent"
# Any step's fields fit; a stranger's megabytes don't.
LONGEST: Final = 64_000
CAPABILITIES: Final = {"find": May.FIND, "set_up": May.SET_UP}


def keep(request: HttpRequest, *, number: str, flow: str, step: str) -> None:
    """Save the POST of a person who isn't signed in (``flow`` is "find" or "set_up"), and add a message."""
    fields = keepable(request.POST)
    if not fields or len(json.dumps(fields)) > LONGEST or not may_keep_answer(request):
        return
    request.session[KEY] = {"number": number, "flow": flow, "step": step, "fields": fields}
    messages.info(request, _("You were signed out meanwhile. What you typed is kept: sign in, and go on from there."))


def restore(request: HttpRequest) -> None:
    """Put the saved fields into the draft of the person who just signed in, if they may edit the order."""
    found = request.session.pop(KEY, None)
    if not found or found["flow"] not in CAPABILITIES:
        return
    what = CAPABILITIES[found["flow"]]
    with transaction.atomic():
        try:
            access = access_to(request.user, found["number"], lock=True)
        except Http404:
            return
        if not (access.may(what) or (access.order.is_stopped and access.would_may(what))):
            return
        storage = DraftStorage(f"{found['flow']}.{access.order.pk}", request)
        storage.keep_typed(found["step"], MultiValueDict(found["fields"]))
    messages.info(request, _("What you typed is in the form below. Check it, and go on."))
