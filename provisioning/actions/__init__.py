"""Every write of an order's life: functions with keyword arguments, each one transaction.

Other packages import them and their exceptions from here; drafts are in ``provisioning.actions.drafts``.
"""

from provisioning.actions.access_decisions import (
    NoLongerAnAdministrator,
    OwnRight,
    ReasonMissing,
    decide,
    take_right_back,
)
from provisioning.actions.access_requests import (
    AskedTooOften,
    OrganizationGone,
    administers,
    ask_administrators,
    ask_for_full_right,
    ask_for_set_up,
    is_full_administrator,
    release_held_order,
)
from provisioning.actions.api_keys import KeyRefused, forget_old_answers, make_key, revoke_key
from provisioning.actions.deadlines import extend_order, look_after_dates, stop_reminders
from provisioning.actions.delegating import TooManyQuestions, ask_about, close_question, hand_back
from provisioning.actions.desk_access_cases import (
    DeskMayNot,
    NoSupervisor,
    SamePerson,
    TooEarly,
    ask_desk,
    begin_desk_case,
    confirm_desk_case,
)
from provisioning.actions.desk_work import add_note, end_hold, put_on_hold, set_desk_owner
from provisioning.actions.finder_searches import search
from provisioning.actions.handing_over import HandedOverTooOften, hand_over, is_handed_over_too_often, take_order_back
from provisioning.actions.mapping import map_order
from provisioning.actions.merging import CannotMerge, merge_organizations
from provisioning.actions.orders import cancel_order, correct_order, place_order, resend_link
from provisioning.actions.planning import (
    Choice,
    Existing,
    MappingRefused,
    New,
    NotAnAdministrator,
    plan_mapping,
    plan_set_up,
)
from provisioning.actions.resending import note_bounce, send_again
from provisioning.actions.returned_mail import note_returned
from provisioning.actions.setting_up import postpone, reserve, set_up, stop_set_up, take_over

__all__ = [
    "AskedTooOften",
    "CannotMerge",
    "Choice",
    "DeskMayNot",
    "Existing",
    "HandedOverTooOften",
    "KeyRefused",
    "MappingRefused",
    "New",
    "NoLongerAnAdministrator",
    "NoSupervisor",
    "NotAnAdministrator",
    "OrganizationGone",
    "OwnRight",
    "ReasonMissing",
    "SamePerson",
    "TooEarly",
    "TooManyQuestions",
    "add_note",
    "administers",
    "ask_about",
    "ask_administrators",
    "ask_desk",
    "ask_for_full_right",
    "ask_for_set_up",
    "begin_desk_case",
    "cancel_order",
    "close_question",
    "confirm_desk_case",
    "correct_order",
    "decide",
    "end_hold",
    "extend_order",
    "forget_old_answers",
    "hand_back",
    "hand_over",
    "is_full_administrator",
    "is_handed_over_too_often",
    "look_after_dates",
    "make_key",
    "map_order",
    "merge_organizations",
    "note_bounce",
    "note_returned",
    "place_order",
    "plan_mapping",
    "plan_set_up",
    "postpone",
    "put_on_hold",
    "release_held_order",
    "resend_link",
    "reserve",
    "revoke_key",
    "search",
    "send_again",
    "set_desk_owner",
    "set_up",
    "stop_reminders",
    "stop_set_up",
    "take_order_back",
    "take_over",
    "take_right_back",
]
