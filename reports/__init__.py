"""What was found and what people said of it: the schema, the store (write), the queries (read).

Knows nothing of how anything is scored or shown.
"""
