"""Finds the organizations that an order may be for.

Other packages import matching (entry points), cards (Candidate, Viewer), evidence_rules (Code) and evidence_sentences.
"""
