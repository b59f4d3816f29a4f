"""The statement filters, one per file: each takes statements and returns one decision per statement."""
