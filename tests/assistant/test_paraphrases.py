"""Ways of saying the same are brought to one form, and what is no paraphrase stays as it is."""

from __future__ import annotations

import pytest

from anomalyd.assistant.language.spelling import plain


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            "Hello, I am new here, could you tell me please how many incidents there were?",
            "how many incidents there were",
        ),
        ("Could you please show me the hosts", "show me the hosts"),
        ("how many alarms haven't cleared yet", "how many alarms open"),
        ("did node17 act up again today", "did node17 alarm again today"),
        ("when did the latest incident of node17 peak", "peak time of the latest incident of node17"),
        ("since when is node17 fine again", "when did the last incident of node17 end"),
        ("what score did EB+01 reach at most", "highest score of eb+01"),
        ("chambers that went over 5", "chambers that above 5"),
        ("run 5, LS 50 to LS 150", "run 5, lumisection 50 to 150"),
        ("How does yesterday compare with today?", "compare yesterday with today"),
        (
            "which incidents were seen by the night shift",
            "which incidents were seen by shifters of the night shift",
        ),
        ("which chambers are or were critical", "which chambers were critical"),
        ("did both see it", "was it seen by both"),
        ("what just came in", "what is the latest incident"),
        ("what work is scheduled for tomorrow", "what maintenance is scheduled for tomorrow"),
        (
            "What has been open for more than 2 hours?",
            "which entities have open incidents longer than 2 hours",
        ),
        (
            "hosts whose open incident is older than 3 hours",
            "which hosts have open incident longer than 3 hours",
        ),
        ("top 3 by total duration", "top 3 entities by total duration"),
        ("average score: node17 against node18", "average score per entity of node17 and node18"),
        ("who had something yesterday and nothing today", "who had incidents yesterday but not today"),
        ("how many incidents since my shift began 12 hours ago", "how many incidents in the last 12 hours"),
    ],
)
def test_one_form(said: str, meant: str) -> None:
    assert plain(said) == meant


@pytest.mark.parametrize("said", ["how many incidents on node17 yesterday", "why was eb+01 flagged", "hosts"])
def test_what_is_no_paraphrase_stays(said: str) -> None:
    assert plain(said) == said
