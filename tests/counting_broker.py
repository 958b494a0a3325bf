"""A broker written by others, openbrokerapi, with a back end that counts its instances."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any

import flask
from openbrokerapi import api, errors
from openbrokerapi.catalog import ServicePlan
from openbrokerapi.service_broker import (
    DeprovisionDetails,
    DeprovisionServiceSpec,
    LastOperation,
    OperationState,
    ProvisionDetails,
    ProvisionedServiceSpec,
    ProvisionState,
    Service,
    ServiceBroker,
)
from werkzeug.serving import make_server

USER, PASSWORD = "platform", "secret"


class Backend(ServiceBroker):  # type: ignore[misc]  # it has no types
    """``there`` are the instances with what they were asked for; ``made`` counts how often each was made.

    ``faults`` by order: "sync" is done at once; "slow" needs many polls; "fails", "refuses_name", "fails_twice".
    """

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.ready: set[str] = set()
        self.deleting: set[str] = set()
        self.made: Counter[str] = Counter()
        self.faults: dict[str, str] = {}
        self.failing: set[str] = set()
        self.broke: Counter[str] = Counter()
        self.people: list[Any] = []

    def catalog(self) -> Service:
        """One service with one plan."""
        plan = ServicePlan("standard-id", "standard", "The only plan.")
        return Service("meetings-id", "meetings", "Meetings.", bindable=False, plans=[plan])

    def provision(
        self, instance_id: str, details: ProvisionDetails, async_allowed: bool, **kwargs: Any
    ) -> ProvisionedServiceSpec:
        """Make an instance, once."""
        asked, order = repr(details.parameters), (details.context or {})["order"]
        fault = self.faults.get(order, "")
        self.people.append(details.originating_identity)
        if instance_id in self.there:
            if self.there[instance_id] != asked:
                raise errors.ErrInstanceAlreadyExists
            if instance_id in self.ready:
                return ProvisionedServiceSpec(ProvisionState.IDENTICAL_ALREADY_EXISTS)
            return ProvisionedServiceSpec(ProvisionState.IS_ASYNC, operation="make it")
        if fault == "fails_twice" and self.broke[order] < 2:
            self.broke[order] += 1
            raise RuntimeError("It broke.")
        if fault == "refuses_name" and "contoso-main" in asked:
            raise errors.ErrInvalidParameters("The name contoso-main is taken.")
        if not async_allowed:
            raise errors.ErrAsyncRequired
        self.there[instance_id] = asked
        self.made[instance_id] += 1
        if fault == "fails":
            self.failing.add(instance_id)
        if fault == "sync":
            self.ready.add(instance_id)
            return ProvisionedServiceSpec(ProvisionState.SUCCESSFUL_CREATED)
        return ProvisionedServiceSpec(ProvisionState.IS_ASYNC, operation="make it")

    def last_operation(self, instance_id: str, operation_data: str | None, **kwargs: Any) -> LastOperation:
        """Say how far it is; it is ready when it was asked once."""
        if instance_id in self.deleting:
            self.deleting.discard(instance_id)
            self.there.pop(instance_id, None)
            return LastOperation(OperationState.SUCCEEDED)
        if instance_id in self.failing:
            return LastOperation(OperationState.FAILED, "There is no capacity left in this region.")
        if instance_id not in self.there:
            raise errors.ErrInstanceDoesNotExist
        assert operation_data == "make it"
        self.ready.add(instance_id)
        return LastOperation(OperationState.SUCCEEDED, "It is ready.")

    def deprovision(
        self, instance_id: str, details: DeprovisionDetails, async_allowed: bool, **kwargs: Any
    ) -> DeprovisionServiceSpec:
        """Delete an instance, asynchronously."""
        if instance_id not in self.there:
            raise errors.ErrInstanceDoesNotExist
        self.deleting.add(instance_id)
        return DeprovisionServiceSpec(is_async=True, operation="delete it")


class CountingBroker:
    """The server around it."""

    def __init__(self) -> None:
        self.backend = Backend()
        app = flask.Flask("broker")
        log = logging.getLogger("tests.counting_broker")
        log.disabled = True
        credentials = api.BrokerCredentials(USER, PASSWORD)
        app.register_blueprint(api.get_blueprint(self.backend, credentials, log))
        logging.getLogger("werkzeug").disabled = True
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def setting(self) -> str:
        """Return the value of PROVISIONING_MEETINGS."""
        return f"osb+http://{USER}:{PASSWORD}@127.0.0.1:{self.server.server_port}"

    def everything(self) -> list[str]:
        """Return the ids of all that is there in any state."""
        return list(self.backend.there)

    def switch(self, order: str, fault: str) -> None:
        """Let a fault be on for an order."""
        self.backend.faults[order] = fault

    def close(self) -> None:
        """Stop answering."""
        self.server.shutdown()
        self.server.server_close()
