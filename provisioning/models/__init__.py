"""What the wizard stores, one module a subject. Import every model from here."""

from provisioning.models.access_requests import AccessRequest, DeskCase
from provisioning.models.accounts import OperatorRole, SignInCode, User, UserManager
from provisioning.models.api_keys import SCOPES, ApiKey
from provisioning.models.drafts import Draft, Question
from provisioning.models.emails import EMAIL_NAMES, Mail, Reminder
from provisioning.models.history import Event, HistoryHead, PersonKey, Scheme
from provisioning.models.operators import OperatorEvent, OperatorsLogHead
from provisioning.models.parts import Link, Part
from provisioning.models.webhooks import Webhook, WebhookReceiver

__all__ = [
    "EMAIL_NAMES",
    "SCOPES",
    "AccessRequest",
    "ApiKey",
    "DeskCase",
    "Draft",
    "Event",
    "HistoryHead",
    "Link",
    "Mail",
    "OperatorEvent",
    "OperatorRole",
    "OperatorsLogHead",
    "Part",
    "PersonKey",
    "Question",
    "Reminder",
    "Scheme",
    "SignInCode",
    "User",
    "UserManager",
    "Webhook",
    "WebhookReceiver",
]
