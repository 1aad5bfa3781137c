"""The section `dashboard`: who may see it, and who may write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from anomalyd.daemon.config.section import STRICT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomalyd.daemon.config.assistant_config import AssistantConfig
    from anomalyd.dashboard.settings import Settings


class DashboardConfig(BaseModel):
    """How people are known, and who of them may acknowledge, comment, tell, silence, flag and undo."""

    model_config = STRICT

    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] | None = None
    user_header: str | None = None
    sign_in: bool = False
    annotate: list[str] = ["*"]

    def link(self, report_id: str) -> str | None:
        """Give the address of a report's page, None where no address of the dashboard is set."""
        return None if self.url is None else f"{self.url.rstrip('/')}/incident?report={report_id}"

    def settings(self, groups: Mapping[str, Sequence[str]], assistant: AssistantConfig) -> Settings:
        """Give what the dashboard is started with."""
        from anomalyd.dashboard.settings import Settings

        return Settings(
            user_header=self.user_header or "",
            sign_in=self.sign_in,
            annotate=tuple(self.annotate),
            groups={name: tuple(patterns) for name, patterns in groups.items()},
            index=assistant.index,
            documents=tuple(assistant.documents),
        )
