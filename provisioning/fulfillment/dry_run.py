"""What the drivers would refuse, asked before a person confirms. Nothing is written, and an outage shows nothing."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final

from django.db import connections

from provisioning.fulfillment import transitions
from provisioning.fulfillment.drivers import driver_of
from provisioning.fulfillment.outcomes import Driver, Job, Rejected
from subscriptions import packs
from subscriptions.models import DriverHealth, Order, OrderLine, ProvisioningRequest

# For all services together, while a person waits for the page.
SECONDS: Final = 0.7
# A thread bounds what no limit of a socket does, such as a slow name server; where all hang, nothing is asked.
_threads: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="dry-run")


def refusals(*, order: Order, lines: Iterable[OrderLine], parts: Mapping[int, Any]) -> dict[int, Rejected]:
    """Return by line (its primary key) what the driver of its service would refuse of these parts of the plans.

    A driver whose circuit breaker is open isn't asked; one that doesn't answer in time refuses nothing.
    """
    asked = {}
    now = transitions.database_now()
    away = set(DriverHealth.objects.filter(open_until__gt=now).values_list("service", flat=True))
    for line in lines:
        if line.pk not in parts or line.service in away:
            continue
        driver = driver_of(line.service)
        if driver.name != "local":
            parameters = packs.of(line.service).parameters(parts[line.pk])
            job = transitions.job_of(ProvisioningRequest(order=order, line=line, parameters=parameters))
            language = contextvars.copy_context()
            asked[line.pk] = _threads.submit(language.run, _check, driver, job)
    wait(asked.values(), timeout=SECONDS)
    found = {line: future.result() for line, future in asked.items() if future.done() and not future.exception()}
    for future in asked.values():
        future.cancel()
    return {line: refused for line, refused in found.items() if refused is not None}


def _check(driver: Driver, job: Job) -> Rejected | None:
    try:
        return driver.check(job)
    finally:
        connections.close_all()  # of this thread, which Django doesn't look after
