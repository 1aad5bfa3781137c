"""The first page: the state of everything at a glance."""
