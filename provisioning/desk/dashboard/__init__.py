"""The dashboard of the order desk: ``page`` shows what ``figures`` counts."""
