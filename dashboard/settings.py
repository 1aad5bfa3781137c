"""What the dashboard was started with; it comes by the environment, because passwords may be in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

STORE = "ANOMALYD_STORE"
"""The environment variable that holds the store's URL."""
MODELS = "ANOMALYD_MODELS"
"""The environment variable that holds the folder of trained models."""
SETTINGS = "ANOMALYD_DASHBOARD"
"""The environment variable that holds the rest, as JSON."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Who may do what, and what things are called.

    `user_header`: the header of a request in which a proxy gives the name of who is signed in. `sign_in`: ask
    by OpenID Connect (Streamlit's `st.login`). `annotate`: shell patterns of those who may acknowledge,
    comment, tell, silence and flag; nobody if it is empty. `groups`: name -> shell patterns of entities.
    `index`: folder of the assistant's search index, "" if it only answers from reports. `documents`: folders
    that it reads.
    """

    user_header: str = ""
    sign_in: bool = False
    annotate: tuple[str, ...] = ("*",)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index: str = ""
    documents: tuple[str, ...] = ()

    def as_text(self) -> str:
        """Write it for the environment."""
        return json.dumps(asdict(self))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read what `as_text` wrote; the defaults where nothing stands."""
        text = environment.get(SETTINGS)
        if not text:
            return cls()
        about = json.loads(text)
        about["annotate"] = tuple(about["annotate"])
        about["documents"] = tuple(about["documents"])
        about["groups"] = {name: tuple(patterns) for name, patterns in about["groups"].items()}
        return cls(**about)
