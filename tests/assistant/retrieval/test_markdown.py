"""Markdown is split under its headings, and nothing of it is lost."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from anomalyd.assistant.retrieval.markdown import passages_of
from anomalyd.assistant.retrieval.passage import SourceKind

RUNBOOK = """\
# Runbook: disks

Whom to call: **Ada**, see [the list](people.md "People").

## Replacing one

1. Do not pull the disk before the light is out.
2. Run it:

```sh
# this is no heading
mdadm --fail /dev/md0
```

| metric | limit |
|--------|-------|
| disk.sda.write | 5e8 |

# Network
<!-- not shown -->
Call the network team.
"""


def test_passages_are_titled_by_their_trail_of_headings() -> None:
    found = passages_of(RUNBOOK, "disks.md")
    assert [(p.id, p.title) for p in found] == [
        ("disks.md#runbook-disks", "Runbook: disks"),
        ("disks.md#replacing-one", "Runbook: disks > Replacing one"),
        ("disks.md#network", "Network"),
    ]
    assert {p.kind for p in found} == {SourceKind.DOCUMENT}


def test_links_and_bold_become_text_and_comments_vanish() -> None:
    found = passages_of(RUNBOOK, "disks.md")
    assert found[0].text == "Whom to call: Ada, see the list."
    assert found[2].text == "Call the network team."


def test_code_and_tables_stand_to_the_letter() -> None:
    text = passages_of(RUNBOOK, "disks.md")[1].text
    assert "# this is no heading\nmdadm --fail /dev/md0" in text
    assert "| disk.sda.write | 5e8 |" in text
    assert "---" not in text


def test_sections_of_the_same_name_have_different_ids() -> None:
    found = passages_of("# A\none\n# A\ntwo\n", "a.md")
    assert len({p.id for p in found}) == 2


@given(st.lists(st.integers(1, 500), min_size=1, max_size=6))
def test_long_texts_are_split_and_keep_every_word(lengths: list[int]) -> None:
    words = [[f"w{k}x{n}" for n in range(length)] for k, length in enumerate(lengths)]
    found = passages_of("# T\n\n" + "\n\n".join(" ".join(some) for some in words), "t.md")
    assert all(len(p.text.split()) <= 180 for p in found)
    assert " ".join(p.text for p in found).split() == [word for some in words for word in some]


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    for passage in passages_of(text, "any.md"):
        assert passage.text.strip()
        assert not re.search(r"\n\n\n", passage.text)
