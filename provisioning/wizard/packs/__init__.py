"""The wizard's half of the built-in product packs: one module for each service, with its steps.

Import ``PackSteps``, ``Step`` and ``installed`` from ``base``.
"""
