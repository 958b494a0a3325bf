"""Other systems."""
