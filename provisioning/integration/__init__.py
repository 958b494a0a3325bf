"""Calls to other systems.

Others import ``webhooks`` (write messages, list events), ``deliveries`` (send, skip), ``endpoints`` (receivers and
their secrets) and ``http_client`` (the only module that opens outgoing connections).
"""
