"""Who may publish: of all daemons on one store, one at a time sends the outbox.

The lease is a row that names its holder and counts its beats. A holder renews it before it sends; whoever
waits takes it over when the holder's process has ended, where that can be seen, or when no beat came for
`LEASE_S` of the waiting one's own clock: no two clocks are ever compared. What a holder begins to send right
after a renewal has arrived or is given up before another may take over, so a daemon that hung and comes back
sends nothing twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from sqlalchemy import Update, select, update

from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.processes import has_ended, process_name
from anomalyd.reports.storage.tables import publisher

LEASE_S = 25.0
RENEW_S = 4.0

_ONLY = 1


class PublisherLease:
    """The lease, as one daemon sees it. Methods raise StoreError; then the lease counts as not held.

    `holder` names this daemon; by default its process and a word of its own.
    """

    def __init__(
        self, database: Database, *, holder: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._holder = holder or f"{process_name()} {uuid.uuid4().hex[:8]}"
        self._beat: int | None = None
        self._renewed = 0.0
        self._seen: tuple[str, int] | None = None
        self._seen_since = 0.0

    def renew(self) -> bool:
        """Say whether it is still ours; tells the others so every few seconds."""
        if self._beat is None:
            return False
        now = self._clock()
        if now - self._renewed < RENEW_S:
            return True
        beat, self._beat = self._beat, None
        return self._set((self._holder, beat), now)

    def take(self) -> bool:
        """Take it, if nobody holds it; says whether it is ours now."""
        now = self._clock()
        with self._database.reading() as connection:
            row = connection.execute(select(publisher.c.holder, publisher.c.beat)).one_or_none()
        if row is None:
            first = {"id": _ONLY, "holder": "", "beat": 0}
            with self._database.writing() as connection:
                connection.execute(self._database.insert(publisher).values(first).on_conflict_do_nothing())
            return self._set(("", 0), now)
        found = (row.holder, row.beat)
        if found != self._seen:
            self._seen, self._seen_since = found, now
        # Our own is ours still where a failure of the store kept us from renewing it.
        another = found[0] not in ("", self._holder)
        if another and now - self._seen_since < LEASE_S and not has_ended(found[0].rpartition(" ")[0]):
            return False
        return self._set(found, now)

    def release(self) -> None:
        """Let the others have it at once."""
        if self._beat is None:
            return
        beat, self._beat = self._beat, None
        with self._database.writing() as connection:
            connection.execute(_holding(self._holder, beat).values(holder="", beat=beat + 1))

    def _set(self, before: tuple[str, int], now: float) -> bool:
        with self._database.writing() as connection:
            moved = connection.execute(_holding(*before).values(holder=self._holder, beat=before[1] + 1))
        if moved.rowcount != 1:
            return False
        self._beat, self._renewed = before[1] + 1, now
        return True


def _holding(holder: str, beat: int) -> Update:
    return update(publisher).where(publisher.c.holder == holder, publisher.c.beat == beat)
