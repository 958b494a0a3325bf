"""The pages of one's own account: passkeys, an operator's second factor, and giving it."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from provisioning.models import User
from provisioning.pages.base import page, page_with_form
from provisioning.pages.links import safe_next
from provisioning.people import second_factor, visitors

CODE, CREDENTIAL = "second_factor_code", "second_factor_credential"


@page
def account(request: HttpRequest) -> HttpResponse:
    """The person's passkeys, and an operator's app and recovery codes."""
    user = _person(request)
    context = {
        "factors": second_factor.factors_of(user),
        "codes_left": second_factor.recovery_codes_left(user),
        "may_change": second_factor.may_change_factors(request, user),
        "needs_factor": second_factor.is_required(user),
        "next": safe_next(request),
    }
    return render(request, "account/account.html", context)


@page_with_form
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor, and lead on to where the person wanted to go."""
    user, destination = _person(request), safe_next(request) or reverse("account")
    if not second_factor.factors_of(user):
        return HttpResponseRedirect(f"{reverse('account')}?{urlencode({'next': destination})}")
    if request.method == "POST":
        if given(request):
            return HttpResponseRedirect(destination)
        messages.error(request, wrong_factor())
    context = {"next": destination, "codes_left": second_factor.recovery_codes_left(user)}
    return render(request, "account/second_factor.html", context)


def given(request: HttpRequest) -> bool:
    """Say whether this POST has a second factor that fits, and note it in the session."""
    code, credential = request.POST.get(CODE, ""), request.POST.get(CREDENTIAL, "")
    if not code.strip() and not credential:
        return False
    return second_factor.prove(request, _person(request), code=code[:100], credential=credential[:20_000])


def wrong_factor() -> str:
    """Return the sentence for a second factor that doesn't fit."""
    return _(
        "Enter the six digits that your authenticator app shows now, or a recovery code that you have not used. Each "
        "works once; after many tries it takes an hour until the next."
    )


@never_cache
@require_POST
def passkey_options(request: HttpRequest, purpose: str) -> HttpResponse:
    """Return WebAuthn's options as JSON, and keep their challenge in the session: to sign in, to add, or to prove."""
    if purpose == "sign-in":
        if not visitors.may_ask_for_passkey(request):
            return HttpResponse(status=429)
        return JsonResponse(second_factor.passkey_request(None))
    if not isinstance(request.user, User):
        raise Http404
    if purpose == "prove":
        return JsonResponse(second_factor.passkey_request(request.user))
    if purpose == "add" and second_factor.may_change_factors(request, request.user):
        return JsonResponse(second_factor.passkey_creation(request.user))
    raise Http404


@never_cache
@require_POST
def passkey_sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in with a passkey; where that can't be, lead back to the code by email."""
    destination = safe_next(request)
    if second_factor.sign_in_with_passkey(request, request.POST.get(CREDENTIAL, "")[:20_000]):
        return HttpResponseRedirect(destination or reverse("my_orders"))
    messages.error(
        request,
        _("This passkey can’t sign you in. Sign in with a code by email; after that, passkeys work again for 90 days."),
    )
    back = reverse("account_login")
    return HttpResponseRedirect(f"{back}?{urlencode({'next': destination})}" if destination else back)


@page_with_form
def add_passkey(request: HttpRequest) -> HttpResponse:
    """Add the passkey that the browser made; GET leads to the account."""
    user = _person(request)
    if request.method == "POST":
        if (first := _again_first(request, user)) is not None:
            return first
        name = request.POST.get("name", "").strip() or _("Passkey")
        credential = request.POST.get(CREDENTIAL, "")[:20_000]
        if second_factor.add_passkey(request, user, credential=credential, name=name):
            messages.success(request, _("The passkey is added. Choose it the next time you sign in."))
            return _on(request, user)
        messages.error(request, _("The passkey was not added. Try again; an account has at most ten."))
    return _back(request)


@page_with_form
def add_app(request: HttpRequest) -> HttpResponse:
    """Show the secret of an authenticator app; its first code confirms it."""
    user = _person(request)
    if not user.is_staff:
        raise Http404
    if (first := _again_first(request, user)) is not None:
        return first
    if request.method != "POST":
        return _back(request)
    if "code" in request.POST and second_factor.confirm_app(request, user, request.POST["code"][:100]):
        messages.success(request, _("The authenticator app is set up."))
        return _on(request, user)
    secret, picture = second_factor.shown_secret(request, user)
    if "code" in request.POST and secret:
        messages.error(request, wrong_factor())
    else:
        secret, picture = second_factor.new_secret(request, user)
    spaced = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    # The picture is made by the qrcode library from our own text.
    svg = mark_safe(picture[picture.index("<svg") :])  # noqa: S308
    return render(request, "account/add_app.html", {"secret": spaced, "picture": svg, "next": safe_next(request)})


@page_with_form
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """POST makes new recovery codes, and shows them once."""
    user = _person(request)
    if not user.is_staff or not second_factor.factors_of(user):
        raise Http404
    if request.method != "POST":
        return _back(request)
    if (first := _again_first(request, user)) is not None:
        return first
    codes = [f"{code[:4]} {code[4:]}" for code in second_factor.new_recovery_codes(user)]
    return render(request, "account/recovery_codes.html", {"codes": codes, "next": safe_next(request)})


@page_with_form
def remove_factor(request: HttpRequest, pk: int) -> HttpResponse:
    """POST removes a passkey or the app; GET leads to the account."""
    user = _person(request)
    if request.method == "POST":
        if (first := _again_first(request, user)) is not None:
            return first
        if second_factor.remove(user, pk):
            messages.success(request, _("It is removed, and can’t be used any more."))
        else:
            messages.error(request, _("An operator keeps one second factor: add another before you remove this one."))
    return _back(request)


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _again_first(request: HttpRequest, user: User) -> HttpResponse | None:
    """Lead to the second factor, or ask to sign in again, where the last proof is too old to change factors."""
    if second_factor.may_change_factors(request, user):
        return None
    if user.is_staff and second_factor.factors_of(user):
        return HttpResponseRedirect(f"{reverse('second_factor')}?{urlencode({'next': reverse('account')})}")
    messages.error(request, _("Sign out and in again first: passkeys are changed within an hour of signing in."))
    return redirect("account")


def _on(request: HttpRequest, user: User) -> HttpResponse:
    """Lead an operator without recovery codes to them; everybody else to where they came from."""
    if user.is_staff and not second_factor.recovery_codes_left(user):
        return _back(request)
    return HttpResponseRedirect(safe_next(request) or reverse("account"))


def _back(request: HttpRequest) -> HttpResponse:
    destination = safe_next(request)
    query = f"?{urlencode({'next': destination})}" if destination else ""
    return HttpResponseRedirect(reverse("account") + query)
