"""The pages of a link, and of signing in with a code. Links are opened by GET and acted on by POST."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.forms import ConfirmLoginCodeForm
from allauth.account.views import ConfirmLoginCodeView, LogoutView
from django import forms
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from provisioning.models import User
from provisioning.pages.base import reads_or_posts
from provisioning.people import links, second_factor, sign_in, visitors
from provisioning.wizard import pending_posts
from provisioning.wizard.forms.fields import EmailField
from subscriptions.summary import mask_email


@never_cache
@reads_or_posts
def link(request: HttpRequest, token: str) -> HttpResponse:
    """One link. GET and HEAD change nothing; POST sends a code, or the link once more, to the link's own address."""
    found = links.find(token)
    if found is None:
        return render(request, "links/unknown.html", status=404)
    number, email = found.order.number, found.part.user.email
    state = links.state(found)
    # An approver's link opens a request, and nothing else of the order.
    request_for = found.part.access_request
    context: dict[str, Any] = {
        "number": number,
        "recipient": mask_email(email),
        "state": state,
        "deciding": request_for,
    }
    if state is links.State.ENDED:
        context["cancelled"] = found.order.state == found.order.State.CANCELLED
        return render(request, "links/ended.html", context)
    if state is links.State.CLOSED:
        return render(request, "links/closed.html", context | {"closed_at": found.order.closes_at})
    if state is not links.State.OPEN:
        if request.method == "POST":
            context["sent_at"] = links.send_again(link=found)
        return render(request, f"links/{state}.html", context)
    signed_in = request.user.is_authenticated
    if signed_in and request.user == found.part.user:
        if request.method == "POST":
            if request_for:
                return redirect("access_request", number, request_for.public_id)
            links.note_opened(order=found.order, user=found.part.user)
            return redirect("order", number)
        return render(request, "links/open.html", context | {"mine": True})
    if request.method == "POST":
        if signed_in:
            logout(request)
        sign_in.start(request, email, order_number=number)
        return redirect("account_confirm_login_code")
    return render(request, "links/open.html", context | {"somebody_else": signed_in})


class EmailForm(forms.Form):
    """The address to send a code to."""

    email = EmailField(label=_("Your email address"), expected=_("Enter your email address"))


@never_cache
@reads_or_posts
def start_sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for an address and send a code to it; the same answer whether it has an account or not."""
    destination = safe_next(request)
    if request.user.is_authenticated:
        return redirect(destination or "my_orders")
    form = EmailForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            visitors.count_code(request)
        except visitors.TooMany:
            return _too_many(request)
        sign_in.start(request, form.cleaned_data["email"])
        confirm = reverse("account_confirm_login_code")
        return redirect(f"{confirm}?{urlencode({'next': destination})}" if destination else confirm)
    return render(request, "account/request_login_code.html", {"form": form, "next": destination})


class CodeForm(ConfirmLoginCodeForm):  # type: ignore[misc]  # allauth has no types
    """The code that was mailed; capitals, spaces and hyphens don't matter."""

    code = forms.CharField(
        label=_("Code"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autocapitalize": "characters"}),
        help_text=_("Eight letters, like BCDF-GHJK."),
        error_messages={"required": _("Enter the code from the email.")},
    )

    def __init__(self, *args: Any, email: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_code(self) -> str:
        """Use the code up, or say what is expected."""
        typed: str = self.cleaned_data["code"]
        if not sign_in.use_code(self.email, typed):
            raise forms.ValidationError(
                _("Enter the code from the newest email. A code works once, in a browser that asked for it."),
                code="incorrect_code",
            )
        return typed


class ConfirmCodeView(ConfirmLoginCodeView):  # type: ignore[misc]  # allauth has no types
    """Enter the code. allauth holds who waits for it in this browser, how often they tried and for how long."""

    form_class = CodeForm

    def get_form_class(self) -> type[forms.Form]:
        """Ours, with no other for sending it again."""
        return CodeForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the code, or with the button named "action" and "resend" send it again."""
        if request.POST.get("action") != "resend":
            with transaction.atomic():  # a code that is used up and a session that isn't signed in would be a dead end
                return cast(HttpResponse, super().post(request, *args, **kwargs))
        try:
            visitors.count_code(request)
        except visitors.TooMany:
            return _too_many(request)
        sign_in.send_again(request, self._process)
        destination = safe_next(request)
        return redirect(request.path + (f"?{urlencode({'next': destination})}" if destination else ""))

    def get_form_kwargs(self) -> dict[str, Any]:
        """The form compares with the address's codes, not with one kept in the session."""
        return {**super().get_form_kwargs(), "email": self._process.state["email"]}

    def form_valid(self, form: CodeForm) -> HttpResponse:
        """Sign in, and note that the mailbox is proved. A wrong code proves nothing, also where a passkey signed in."""
        response = cast(HttpResponse, super().form_valid(form))
        user = self.request.user
        if isinstance(user, User) and user.email == form.email:
            second_factor.note_mailbox_proven(user)
            pending_posts.restore(self.request)
            self.request.session.save()
        return response

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        """After the last try: back to asking, with the reason."""
        if not form.cleaned_data.get("code") and form.has_error("code", "required"):
            return self._again(form)  # an empty field is no try
        if self._process.record_invalid_attempt():
            return self._again(form)
        return render(self.request, "links/too_many_tries.html")

    def _again(self, form: forms.Form) -> HttpResponse:
        return cast(HttpResponse, self.render_to_response(self.get_context_data(form=form)))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """For the page: who it was sent to, when, and how many tries are left."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        email = self._process.state["email"]
        context["email"] = self._shown_email()
        context["can_resend"] = True
        context["sent_at"] = sign_in.last_asked_at(email)
        context["tries_left"] = self._process.max_attempts - self._process.state["failed_attempts"]
        context["number"] = self.request.session.get(sign_in.ORDER_IN_SESSION, "")
        context["next"] = safe_next(self.request)
        return context

    def _shown_email(self) -> str:
        """In full where this browser typed it, masked where a link brought it here."""
        email: str = self._process.state["email"]
        return email if self._process.state["typed"] else mask_email(email)


confirm_code = ConfirmCodeView.as_view()


sign_out = LogoutView.as_view()  # by POST; GET asks


@never_cache
def order_desk_sign_in(request: HttpRequest) -> HttpResponse:
    """The order desk's door: the same sign-in as everybody's, and only for operators."""
    destination = safe_next(request) or reverse("admin:index")
    if not request.user.is_authenticated:
        return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': destination})}")
    user = request.user
    if not (isinstance(user, User) and user.is_active and user.is_staff):
        raise PermissionDenied
    return HttpResponseRedirect(destination)


def _too_many(request: HttpRequest) -> HttpResponse:
    """Say that this network asked too often; 429."""
    return render(request, "links/too_many_requests.html", status=429)


def safe_next(request: HttpRequest) -> str:
    """Where to go afterwards, if it is a page of this site."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    hosts = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=hosts, require_https=request.is_secure())
    return wanted if safe and "\x00" not in wanted else ""
