"""A pack from elsewhere, as a vendor would add one: its own Django app, named in PACKS, and nothing else changed."""
