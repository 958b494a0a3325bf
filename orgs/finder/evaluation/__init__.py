"""Fits the finder's weights and measures its quality and speed. Only commands and tests import it."""
