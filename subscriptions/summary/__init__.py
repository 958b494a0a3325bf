"""The order summary: facts, sections, PDF, kept documents."""
