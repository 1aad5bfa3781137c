"""The steps from an empty database to the schema of `tables.py`, run by `schema.py` through alembic.

A change of `tables.py` gets a file in `versions/` with the next number, `down_revision` naming the one
before; a test compares the result with `tables.py`. A revision that was released is never changed.
"""
