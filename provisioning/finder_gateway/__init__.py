"""The gateway to the organization finder: an order's searches, rate limits and protection against enumeration.

Import the modules: ``finder_questions``, ``signed_ids``, ``response_padding``.
"""
