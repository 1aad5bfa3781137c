"""anomalyd: watches a physics experiment and the computing under it.

The rooms, each standing only on what is below it: `daemon` on `interpret` and `assistant`, `interpret`
on `detectors`, `assistant` on `reports`. `docs/architecture.md` draws the house and the way of a message.
"""

__version__ = "0.1.0"
