"""Organizations: the directory and the finder.

Other packages import models, actions, policies, rate_limits, search_index (rebuild), duplicates, importing, the modules
of text, and from finder its matching, cards, evidence_rules and evidence_sentences.
"""
