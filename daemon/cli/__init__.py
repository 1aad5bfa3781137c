"""The command `anomalyd`: what a person starts."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command; an error made on purpose is one clear line and exit status 2."""
    # Small models are up to 170 times slower on two threads; read by torch when it is first imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from anomalyd.daemon.cli.app import application
    from anomalyd.errors import AnomalydError

    try:
        application(sys.argv[1:])()
    except AnomalydError as error:
        print(f"anomalyd: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        # Somebody reads only the first lines (`| head`); Python would complain once more while ending.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
