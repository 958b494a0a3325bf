"""What the API can do: one module a subject, each with its ``router``, which ``provisioning.api.routers`` adds."""
