"""All commands as one application, for whoever wants them all: the tests, and their documentation."""

from __future__ import annotations

from anomalyd.daemon.cli import application

app = application()
