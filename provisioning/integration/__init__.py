"""Calls to other systems.

Others import ``webhooks`` (write, send, skip) and ``http_client`` (the only module that opens outgoing connections).
"""
