"""Who is found for whom: exact, candidates, none, and what each card says."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orgs.actions import (
    add_member,
    create_organization,
    give_full_right,
    record_activity,
    record_subscription,
    recount,
    recount_all,
    take_full_right_back,
)
from orgs.finder.evidence_rules import Code
from orgs.finder.matching import (
    Candidate,
    Result,
    SharedDomain,
    Viewer,
    find_candidates,
    get_candidate,
    near_duplicates,
    search_by_domain,
)
from orgs.models import Domain, Member, Organization, OtherName

pytestmark = pytest.mark.django_db


def organization(name: str, *domains: str, users: tuple[str, ...] = (), **fields: object) -> Organization:
    """An organization with verified domains and users."""
    made = Organization(name=name, **{"country": "DE", **fields})
    made.save()
    for domain in domains:
        Domain(organization=made, name=domain).save()
    for email in users:
        add_member(organization=made, email=email)
    return made


def names(found: tuple[Candidate, ...]) -> list[str]:
    """The organizations' names, in the order of the list."""
    return [candidate.organization.name for candidate in found]


def codes(candidate: Candidate) -> set[Code]:
    """What speaks for and against a candidate."""
    return {each.code for each in candidate.evidence}


def test_member_is_matched_with_the_own_organization_whatever_its_name() -> None:
    contoso = organization("Contoso", "contoso.com", users=("ada@contoso.com",))
    match = find_candidates(email=" Ada@Contoso.com ", company_name="Something else")
    assert match.result is Result.EXACT
    assert match.preselected is not None
    assert match.preselected.organization == contoso
    assert not match.preselected.is_administrator


def test_member_of_several_organizations_gets_a_list_and_nothing_is_preselected() -> None:
    organization("Contoso", "contoso.com", users=("ada@contoso.com",))
    organization("Contoso Labs", users=("ada@contoso.com",))
    match = find_candidates(email="ada@contoso.com", company_name="Contoso")
    assert match.result is Result.EXACT
    assert sorted(names(match.exact)) == ["Contoso", "Contoso Labs"]
    assert match.preselected is None


def test_administrator_is_known_as_one() -> None:
    made = create_organization(
        name="Contoso", vertical="other", country="DE", administrator_email="Ada@x.example", is_partner=False,
        origin=Organization.Origin.PARTNER_ORDER,
    )  # fmt: skip
    match = find_candidates(email="ada@X.example", company_name="")
    assert match.preselected is not None
    assert match.preselected.organization == made
    assert match.preselected.is_administrator


def test_same_first_five_characters_and_users_at_the_domain_are_a_candidate() -> None:
    organization("Contoso Deutschland", users=("x@contoso.example",))
    organization("Contorno", users=("y@contoso.example",))
    organization("Contoso without such users", users=("x@other.example",))
    match = find_candidates(email="new@contoso.example", company_name="conto something")
    assert match.result is Result.CANDIDATES
    assert sorted(names(match.candidates)) == ["Contorno", "Contoso Deutschland"]
    assert all(Code.USERS_AND_NAME_START in codes(each) for each in match.candidates)


def test_first_five_characters_are_compared_as_written() -> None:
    organization("Con-toso", users=("x@contoso.example",))
    found = find_candidates(email="new@contoso.example", company_name="Contoso").candidates
    assert not any(Code.USERS_AND_NAME_START in codes(each) for each in found)  # found by the name without its hyphen


def test_users_at_another_sub_domain_are_not_users_at_the_same_domain() -> None:
    organization("Contoso", users=("x@mail.contoso.example",))
    match = find_candidates(email="new@contoso.example", company_name="Contosoft")
    assert not any(Code.USERS_AND_NAME_START in codes(each) for each in match.candidates)


@pytest.mark.parametrize(
    ("domain", "email", "code"),
    [
        ("contoso.com", "new@contoso.com", Code.VERIFIED_DOMAIN),
        ("contoso.com", "new@it.contoso.com", Code.SUB_DOMAIN),
        ("it.contoso.com", "new@contoso.com", Code.SUB_DOMAIN),
        ("contoso.com", "new@contoso.de", Code.OTHER_TLD),
    ],
)
def test_domain_ties_are_named_by_how_strong_they_are(domain: str, email: str, code: Code) -> None:
    organization("Contoso", domain)
    match = find_candidates(email=email, company_name="Quite different")
    assert match.result is Result.CANDIDATES
    assert code in codes(match.candidates[0])
    assert not match.candidates[0].best


def test_claimed_domain_comes_before_a_verified_one() -> None:
    organization("Verified here", "contoso.com")
    Domain(organization=organization("Claimed here"), name="contoso.com", status=Domain.Status.CLAIMED).save()
    match = find_candidates(email="new@contoso.com", company_name="Contoso")
    assert names(match.candidates) == ["Claimed here", "Verified here"]


@pytest.mark.parametrize("email", ["new@gmail.com", "new@qq.com", "new@mailinator.com", "new@com", "new"])
def test_mail_that_everybody_can_have_is_never_evidence(email: str) -> None:
    domain = email.partition("@")[2]
    organization("Contoso", *([domain] if domain else []), users=(f"x@{domain}",) if domain else ())
    assert find_candidates(email=email, company_name="Contosoft").result is Result.NONE


@pytest.mark.parametrize(
    ("name", "asked", "code"),
    [
        ("Contoso", "contoso", Code.SAME_NAME),
        ("Contoso GmbH", "Contoso Ltd.", Code.SAME_NAME_BUT_FORM),
        ("Müller & Söhne", "Muller and Sohne", Code.SAME_NAME),
        ("株式会社アサヒコ", "アサヒコ", Code.SAME_NAME_BUT_FORM),
        ("ООО Газпром", "Gazprom", Code.SAME_NAME_BUT_FORM),
        ("Газпром", "Gazprom", Code.SAME_NAME_BUT_SCRIPT),
        ("Contoso Marine Research", "Marine Research Contoso", Code.SAME_NAME_BUT_ORDER),
    ],
)
def test_same_name_is_found_without_any_domain(name: str, asked: str, code: Code) -> None:
    organization(name)
    match = find_candidates(email="new@gmail.com", company_name=asked)
    assert match.result is Result.CANDIDATES
    assert code in codes(match.candidates[0])


def test_domain_and_former_name_come_before_the_same_name_at_another_ending() -> None:
    renamed = organization("Contoso", "fabrikam.com")
    OtherName(organization=renamed, name="Fabrikam AG", kind=OtherName.Kind.FORMER).save()
    organization("Fabrikam", "fabrikam.net")
    match = find_candidates(email="new@fabrikam.com", company_name="Fabrikam")
    assert names(match.candidates) == ["Contoso", "Fabrikam"]


def test_domain_and_another_name_come_first_whatever_the_script_and_the_country() -> None:
    abroad = organization("شركة كونتوسو للتجارة", "contoso.com", country="EG")
    OtherName(organization=abroad, name="Contoso").save()
    organization("Contoso GmbH", "contoso.de", country="AT")
    organization("Contoso Research", "contoso.com", country="US")
    match = find_candidates(email="new@contoso.com", company_name="Contoso")
    assert names(match.candidates)[0] == "شركة كونتوسو للتجارة"


@pytest.mark.parametrize("name", ["KLR", "コントソ・リサーチ"])
def test_another_name_letter_by_letter_comes_before_a_name_that_is_only_like_it(name: str) -> None:
    right = organization("Contoso Laboratory of Rubber")
    OtherName(organization=right, name=name).save()
    organization("KLR Environment")
    organization("Risachi")
    assert names(find_candidates(email="new@gmail.com", company_name=name).candidates)[0] == right.name


def test_the_own_name_comes_before_the_same_as_another_name_of_one_with_more_use() -> None:
    busy = organization("Contoso Healthcare", "contoso.com", users=("x@contoso.com",), active_subscription_count=9)
    for name in ("Contoso Medical", "Contoso Medical USA"):
        OtherName(organization=busy, name=name).save()
    organization("Contoso Medical", "contoso.com", users=("y@contoso.com",))
    match = find_candidates(email="new@contoso.com", company_name="Contoso Medical")
    assert names(match.candidates) == ["Contoso Medical", "Contoso Healthcare"]


def test_domain_and_name_that_were_asked_for_are_told_among_very_many() -> None:
    many = organization("Contoso", *(f"contoso-{number:03}.example" for number in range(60)), "contoso.com")
    for number in range(60):
        OtherName(organization=many, name=f"Contoso Branch {number:03}").save()
    OtherName(organization=many, name="Fabrikam").save()
    match = find_candidates(email="new@contoso.com", company_name="Fabrikam")
    assert codes(match.candidates[0]) >= {Code.VERIFIED_DOMAIN, Code.OTHER_NAME}


def test_former_name_is_found_and_said() -> None:
    made = organization("Contoso")
    OtherName(organization=made, name="Fabrikam AG", kind=OtherName.Kind.FORMER).save()
    match = find_candidates(email="new@gmail.com", company_name="Fabrikam")
    assert names(match.candidates) == ["Contoso"]
    assert "Fabrikam AG" in " ".join(match.candidates[0].reasons)


def test_belonging_comes_before_use_and_use_before_recency() -> None:
    now = timezone.now()
    organization("Contoso Qax", "contoso.com", last_activity_at=now - timedelta(days=30))
    organization("Contoso Wex", "contoso.com", last_activity_at=now)
    organization("Contoso Zix", "contoso.com", active_subscription_count=2, last_activity_at=now - timedelta(days=60))
    organization("Contosa", active_subscription_count=9, last_activity_at=now)
    found = find_candidates(email="new@contoso.com", company_name="Contoso")
    assert names(found.candidates)[:3] == ["Contoso Zix", "Contoso Wex", "Contoso Qax"]


def test_partners_alone_are_looked_for_where_a_partner_is_meant() -> None:
    organization("Contoso", "contoso.com")
    partner = organization("Contoso Partner", "contoso.com", is_partner=True)
    match = find_candidates(email="new@contoso.com", company_name="Contoso", partners=True)
    assert [each.organization for each in match.candidates] == [partner]


def test_abandoned_organization_carries_a_warning() -> None:
    organization("Contoso", last_activity_at=timezone.now() - timedelta(days=700))
    match = find_candidates(email="new@gmail.com", company_name="Contoso")
    assert match.candidates[0].warnings[0].startswith("Looks abandoned: no verified domain, no activity since")


def test_used_organization_carries_no_warning() -> None:
    organization("Contoso", "contoso.com", last_activity_at=timezone.now(), active_subscription_count=1)
    assert find_candidates(email="new@contoso.com", company_name="Contoso").candidates[0].warnings == ()


def test_stranger_does_not_see_what_only_the_name_ties() -> None:
    organization("Contoso", "contoso.com")
    stranger = Viewer(proved_email="eve@elsewhere.example")
    assert find_candidates(email="eve@elsewhere.example", company_name="Contoso", viewer=stranger).candidates == ()


def test_stranger_sees_a_masked_card_for_a_domain() -> None:
    made = organization("Contoso Group", "contoso.com", "secret.example", users=("a@contoso.com", "b@contoso.com"))
    stranger = Viewer(proved_email="eve@elsewhere.example")
    found = search_by_domain(domain="contoso.com", email="eve@elsewhere.example", viewer=stranger)
    assert [each.organization for each in found] == [made]
    card = found[0]
    facts = (card.shown_name, card.shown_country, card.shown_users, card.shown_activity, card.shown_subscriptions)
    shown = " ".join((*facts, card.shown_origin, card.tie, *card.reasons, *card.warnings, *map(str, card.domains)))
    assert card.masked
    assert "Group" not in shown
    assert "secret.example" not in shown
    assert card.shown_users == "1 to 10"


def test_proven_mailbox_at_the_domain_shows_the_full_card() -> None:
    organization("Contoso Group", "contoso.com")
    colleague = Viewer(proved_email="eve@contoso.com")
    found = find_candidates(email="eve@contoso.com", company_name="Cont", viewer=colleague)
    assert not found.candidates[0].masked
    assert found.candidates[0].shown_name == "Contoso Group"


def test_search_refuses_shared_domains_and_takes_whole_domains_only() -> None:
    organization("Contoso", "contoso.com")
    with pytest.raises(SharedDomain):
        search_by_domain(domain="gmail.com", email="a@b.example")
    assert search_by_domain(domain="contoso", email="a@b.example") == ()
    assert search_by_domain(domain="contoso.de", email="a@b.example") == ()
    assert len(search_by_domain(domain="@www.contoso.com", email="a@b.example")) == 1


def test_search_never_shows_more_than_ten() -> None:
    for number in range(15):
        organization(f"Contoso {number}", "contoso.com")
    assert len(search_by_domain(domain="contoso.com", email="a@b.example", limit=50)) == 10


def test_near_duplicates_are_the_organizations_of_that_name() -> None:
    organization("Contoso GmbH")
    organization("Fabrikam", "fabrikam.com")
    assert names(near_duplicates(name="Contoso Ltd", country="DE", email="x@fabrikam.com")) == ["Contoso GmbH"]


def test_one_candidate_can_be_shown_again() -> None:
    made = organization("Contoso", "contoso.com")
    again = get_candidate(public_id=made.public_id, email="x@contoso.com", company_name="Contoso")
    assert again is not None
    assert again.organization == made
    assert get_candidate(public_id=uuid4(), email="", company_name="") is None


def test_number_of_queries_does_not_grow_with_candidates() -> None:
    for number in range(30):
        organization(f"Contoso {number}", "contoso.com", users=(f"u{number}@contoso.com",))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        match = find_candidates(email="new@contoso.com", company_name="Contoso")
        assert len(match.candidates) == 10
        assert all(each.reasons and each.domains for each in match.candidates)
    assert len(queries) <= 4


def test_statistics_of_use_stay_right() -> None:
    made = create_organization(
        name="Contoso", vertical="other", country="DE", administrator_email="ada@x.example", is_partner=False,
        origin=Organization.Origin.DIRECT_ORDER,
    )  # fmt: skip
    member = add_member(organization=made, email="bob@x.example")
    add_member(organization=made, email="bob@x.example", role=Member.Role.FULL)
    record_activity(member=member)
    record_activity(member=member)
    record_subscription(made, 2)
    record_subscription(made, -1)
    made.refresh_from_db()
    kept = (made.user_count, made.active_user_count, made.last_activity_at)
    again = recount(made)
    assert kept == (again.user_count, again.active_user_count, again.last_activity_at)
    assert (made.user_count, made.active_user_count, made.active_subscription_count) == (2, 1, 1)


def test_statistics_of_use_follow_who_comes_and_goes_by_a_request() -> None:
    made = create_organization(
        name="Contoso", vertical="other", country="DE", administrator_email="ada@x.example", is_partner=False,
        origin=Organization.Origin.DIRECT_ORDER,
    )  # fmt: skip
    request = uuid4()
    for active in (True, False):
        member = give_full_right(organization=made, email="bob@x.example", request=request, until=None)
        if active:
            record_activity(member=member)
        assert take_full_right_back(organization=made, email="bob@x.example", request=request)
        made.refresh_from_db()
        kept = (made.user_count, made.active_user_count)
        again = recount(Organization.objects.get(pk=made.pk))
        assert kept == (again.user_count, again.active_user_count) == (1, 0)


def test_statistics_of_use_age_by_themselves_as_a_recount_says() -> None:
    made = create_organization(
        name="Contoso", vertical="other", country="DE", administrator_email="ada@x.example", is_partner=False,
        origin=Organization.Origin.DIRECT_ORDER,
    )  # fmt: skip
    quiet = create_organization(
        name="Fabrikam", vertical="other", country="DE", administrator_email="eve@y.example", is_partner=False,
        origin=Organization.Origin.DIRECT_ORDER,
    )  # fmt: skip
    start = timezone.now()
    record_activity(member=add_member(organization=made, email="bob@x.example"))
    with time_machine.travel(start + timedelta(days=50)):
        record_activity(member=Member.objects.get(email="ada@x.example"))
    for days, active in ((51, 2), (89, 2), (91, 1), (141, 0)):
        with time_machine.travel(start + timedelta(days=days)):
            recount_all()
            made.refresh_from_db()
            assert (made.user_count, made.active_user_count) == (2, active)
            again = recount(Organization.objects.get(pk=made.pk))
            assert (again.active_user_count, again.last_activity_at) == (active, made.last_activity_at)
            assert recount_all() == 0  # a second run changes nothing
    quiet.refresh_from_db()
    assert (quiet.user_count, quiet.active_user_count) == (1, 0)


def test_new_organization_is_not_called_abandoned() -> None:
    create_organization(
        name="Contoso", vertical="other", country="DE", administrator_email="ada@x.example", is_partner=False,
        origin=Organization.Origin.DIRECT_ORDER,
    )  # fmt: skip
    candidate = find_candidates(email="ada@x.example", company_name="Contoso").candidates[0]
    assert candidate.warnings == ("No verified domain.",)
    with time_machine.travel(timezone.now() + timedelta(days=400)):
        candidate = find_candidates(email="ada@x.example", company_name="Contoso").candidates[0]
    assert candidate.warnings[0].startswith("Looks abandoned")
