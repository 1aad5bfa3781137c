"""The report store: schema, transactions and repositories, in SQLite or PostgreSQL."""
