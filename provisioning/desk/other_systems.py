"""Other systems at the order desk: webhook endpoints with their secrets, and questions to the finder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning.desk.site import ReadOnly, operator, site
from provisioning.desk.tables import Table
from provisioning.integration import deliveries, endpoints, webhooks
from provisioning.integration.endpoints import EndpointRefused
from provisioning.models import MatchQuestion, WebhookEndpoint

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfEndpoint = admin.ModelAdmin[WebhookEndpoint]
    AdminOfQuestion = admin.ModelAdmin[MatchQuestion]
    FormOfEndpoint = forms.ModelForm[WebhookEndpoint]
else:
    AdminOfEndpoint = AdminOfQuestion = admin.ModelAdmin
    FormOfEndpoint = forms.ModelForm


class EndpointForm(FormOfEndpoint):
    """The address, the name and the types of messages of an endpoint. Saving it is one action of ``endpoints``."""

    url = forms.CharField(label=gettext_lazy("address"), max_length=2000, widget=forms.URLInput(attrs={"size": 60}))
    name = forms.CharField(label=gettext_lazy("name"), max_length=80, required=False)
    types = forms.MultipleChoiceField(
        label=gettext_lazy("events"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Without a choice it receives every event."),
    )
    secret = ""

    class Meta:
        model = WebhookEndpoint
        fields = ("url", "name", "types")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        beginnings = [each for each in self.instance.types if each.endswith("*")]  # given by the API
        if "types" in self.fields:
            choices = [(each, each) for each in dict.fromkeys([*beginnings, *webhooks.ALL_TYPES])]
            self.fields["types"].choices = choices  # type: ignore[attr-defined]  # a MultipleChoiceField

    made_by = ""

    def clean(self) -> dict[str, Any]:
        """Make or change the endpoint; a refusal stands beside its field, and nothing is written."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return values
        try:
            if self.instance.pk:
                endpoints.change(self.instance, known_types=webhooks.ALL_TYPES, **values)
            else:
                self.instance, self.secret = endpoints.make(
                    known_types=webhooks.ALL_TYPES, made_by=self.made_by, **values
                )
        except EndpointRefused as refused:
            self.add_error(refused.field or None, str(refused.sentence))
        return values


@admin.register(WebhookEndpoint, site=site)
class WebhookEndpointAdmin(Table, AdminOfEndpoint):
    """The receivers of webhooks. A secret is shown once, when it is made."""

    form = EndpointForm
    fields = ("url", "name", "types")
    list_display = ("address", "name", "events", "enabled", "gone_at", "created_at", "made_by")
    actions = ("turn_on", "turn_off", "send_test", "rotate", "remove")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        """Return those that were not removed."""
        return super().get_queryset(request).filter(deleted_at=None).order_by("-environment", "pk")

    @admin.display(description=gettext_lazy("address"))
    def address(self, endpoint: WebhookEndpoint) -> str:
        """Return where messages go."""
        return endpoints.address_of(endpoint) or endpoint.url or "-"

    @admin.display(description=gettext_lazy("events"))
    def events(self, endpoint: WebhookEndpoint) -> str:
        """Return the types of messages that it receives."""
        return ", ".join(endpoint.types) or _("every event")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form, which knows who makes the endpoint."""
        form = super().get_form(request, obj, change, **kwargs)
        form.made_by = operator(request).email  # type: ignore[attr-defined]  # of EndpointForm
        return form

    def has_change_permission(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> bool:
        """Allow it by Django's permission, but not for the endpoint of the environment."""
        return super().has_change_permission(request, obj) and not (obj is not None and obj.environment)

    def has_delete_permission(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> bool:
        """Allow it to nobody: an action removes endpoints and keeps their deliveries."""
        return False

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> WebhookEndpoint:
        """Return the endpoint that the form has written."""
        endpoint: WebhookEndpoint = form.instance
        return endpoint

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        """Write nothing: the form has. Keep the new secret for the page that shows it."""
        self._show_once(request, obj, form.secret)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write nothing: an endpoint has no related rows of its own."""

    def response_add(self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: Any = None) -> HttpResponse:
        """Show the secret, on this page only."""
        return self._secrets_page(request)

    @admin.action(description=gettext_lazy("Turn on again"), permissions=["change"])
    def turn_on(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> None:
        """Send what is open."""
        deliveries.turn_on(chosen)
        messages.success(request, _("Everything that waited is sent in a moment."))

    @admin.action(description=gettext_lazy("Turn off"), permissions=["change"])
    def turn_off(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> None:
        """Send nothing until they are turned on again."""
        if self._each(request, chosen, endpoints.turn_off):
            messages.success(request, _("Nothing is sent to these endpoints until you turn them on again."))

    @admin.action(description=gettext_lazy("Send a test message"), permissions=["change"])
    def send_test(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> None:
        """Send one test message to each."""
        if self._each(request, chosen, webhooks.enqueue_test):
            messages.success(request, _("The test message is sent in a moment; the list of webhooks has the answer."))

    @admin.action(description=gettext_lazy("Make a new secret"), permissions=["change"])
    def rotate(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        """Give each a new secret; the earlier one signs for a day beside it."""
        self._each(request, chosen, lambda each: self._show_once(request, each, endpoints.rotate(each)))
        return self._secrets_page(request) if self._made(request) else None

    @admin.action(description=gettext_lazy("Remove"), permissions=["change"])
    def remove(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> None:
        """Send nothing to them any more."""
        if self._each(request, chosen, endpoints.remove):
            messages.success(request, _("These endpoints are removed; their deliveries stay in the list of webhooks."))

    def _each(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint], act: Any) -> bool:
        """Do it with each; return whether it was done with one. A refusal becomes a message."""
        done = False
        for endpoint in list(chosen):
            try:
                act(endpoint)
                done = True
            except EndpointRefused as refused:
                messages.error(request, str(refused.sentence))
        return done

    def _made(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Return the addresses and secrets of this request."""
        found: list[tuple[str, str]] = request.__dict__.setdefault("_webhook_secrets", [])
        return found

    def _show_once(self, request: HttpRequest, endpoint: WebhookEndpoint, secret: str) -> None:
        if secret:
            self._made(request).append((endpoint.url, secret))

    def _secrets_page(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Webhook secret"),
            "opts": self.opts,
            "made": self._made(request),
            "back": reverse("admin:provisioning_webhookendpoint_changelist"),
        }
        return TemplateResponse(request, "admin/provisioning/webhook_secret.html", context)


@admin.register(MatchQuestion, site=site)
class MatchQuestionAdmin(ReadOnly, Table, AdminOfQuestion):
    """What systems asked the finder for the vendor (``POST /api/v1/match``)."""

    list_display = ("asked_at", "asked_by", "email", "company_name", "country", "result", "answered")
    list_filter = ("asked_by", "result")
    search_fields = ("email", "company_name")
    list_display_links = None
    show_full_result_count = False
    ordering = ("-pk",)

    @admin.display(description=gettext_lazy("organizations"))
    def answered(self, question: MatchQuestion) -> int:
        """Return how many organizations the answer had."""
        return len(question.organizations)
