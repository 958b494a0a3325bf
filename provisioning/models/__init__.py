"""What the wizard stores, one module a subject. Import every model from here."""

from provisioning.models.access_requests import AccessRequest, DeskCase
from provisioning.models.accounts import OperatorRole, SignInCode, User, UserManager
from provisioning.models.api_keys import SCOPES, ApiAnswer, ApiKey
from provisioning.models.desk import SavedFilter
from provisioning.models.directory import DirectoryBatch, DirectoryBatchPart, MatchQuestion
from provisioning.models.drafts import Draft, Question
from provisioning.models.emails import EMAIL_NAMES, Mail, Reminder
from provisioning.models.history import Event, HistoryHead, PersonKey, Scheme
from provisioning.models.operators import OperatorEvent, OperatorsLogHead
from provisioning.models.order_files import BatchRow, OrderBatch
from provisioning.models.parts import Link, Part
from provisioning.models.webhooks import Webhook, WebhookEndpoint, WebhookMessage

__all__ = [
    "EMAIL_NAMES",
    "SCOPES",
    "AccessRequest",
    "ApiAnswer",
    "ApiKey",
    "BatchRow",
    "DeskCase",
    "DirectoryBatch",
    "DirectoryBatchPart",
    "Draft",
    "Event",
    "HistoryHead",
    "Link",
    "Mail",
    "MatchQuestion",
    "OperatorEvent",
    "OperatorRole",
    "OperatorsLogHead",
    "OrderBatch",
    "Part",
    "PersonKey",
    "Question",
    "Reminder",
    "SavedFilter",
    "Scheme",
    "SignInCode",
    "User",
    "UserManager",
    "Webhook",
    "WebhookEndpoint",
    "WebhookMessage",
]
