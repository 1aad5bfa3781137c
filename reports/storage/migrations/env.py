"""What alembic runs: the revisions, on the connection (and in the transaction) that `schema.py` gives."""

from alembic import context

from anomalyd.reports.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
)
context.run_migrations()
