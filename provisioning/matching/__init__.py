"""Searches of an order in the organization finder, with rate limits and protection against enumeration.

Import the modules: ``finder_questions``, ``signed_ids``, ``response_padding``.
"""
