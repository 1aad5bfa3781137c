from __future__ import annotations

import io
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.image import imread

from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.pictures.drawing import draw_map, draw_vector, drawn_metrics
from anomalyd.interpret.pictures.palette import LIGHT, fitted, plain
from anomalyd.interpret.pictures.picture import picture
from anomalyd.interpret.pictures.vector_drawing import whole_shares
from anomalyd.reports.report import Evidence, Explanation, Incident, SeenBy, Severity, Status

NOW = 1.8e9


def attribution(values, complete=True):
    return Attribution("occlusion", np.asarray(values, dtype=np.float32), 0.1, complete)


def vector(metrics=20, history=30):
    """Arguments of `draw_vector`: metric 3 jumps, metric 5 is missing."""
    chance = np.random.default_rng(0)
    past = chance.normal(size=(history, metrics)).astype(np.float32)
    values = chance.normal(size=metrics).astype(np.float32)
    values[3 % metrics] += 20
    values[5 % metrics] = np.nan
    return {
        "features": [f"metric_{f}" for f in range(metrics)],
        "values": values,
        "expectation": np.zeros(metrics, dtype=np.float32),
        "error": values,
        "attribution": attribution(values**2),
        "history": past,
        "history_times": NOW - np.arange(history, 0, -1.0),
        "time": NOW,
        "title": "host/a critical",
    }


def chamber(rows=12, columns=60):
    """Arguments of `draw_map`: layer 5, wires 17 to 32 are dead, the ends of the rows are ragged."""
    expected = np.full((rows, columns), 50, dtype=np.float32)
    counts = np.random.default_rng(0).poisson(expected).astype(np.float32)
    counts[4:5, 16:32] = 0
    counts[:, 57:] = np.nan
    error = (counts - expected) / 50**0.5
    return {
        "values": counts,
        "expectation": expected,
        "error": error,
        "attribution": attribution(np.where(counts == 0, 1.0, counts * 0)),
        "title": "DT/W-2/MB1/S04",
    }


@pytest.fixture
def at_the_peak():
    """An incident of a chamber, its evidence and its explanation."""
    incident = Incident(
        id="a", detector="chambers", entity="DT/W-2/MB1/S04", sample_kind="map", severity=Severity.ERROR,
        status=Status.OPEN, onset=NOW, last=NOW, closed=None, samples=1, peak=4.0, peak_time=NOW,
        autoencoder=4.0, classical=2.0, seen_by=SeenBy.BOTH, causes=(), model="m", run=321909,
        first_lumisection=12, last_lumisection=19,
    )  # fmt: skip
    part = chamber()
    evidence = Evidence(
        NOW, (), part["values"], part["expectation"], part["error"], part["error"], np.zeros(0),
        np.zeros((0, 12, 60), dtype=np.float32),
    )  # fmt: skip
    return incident, evidence, Explanation("occlusion", NOW, part["attribution"].values, 0.1, complete=True)


def image_of(png):
    return imread(io.BytesIO(png))


def size(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize(("draw", "what"), [(draw_vector, vector), (draw_map, chamber)])
def test_a_picture_has_its_size_and_is_the_same_twice(draw, what):
    png = draw(**what())
    assert size(png) == (1200, 675)
    assert draw(**what()) == png
    assert b"Software" not in png  # the version of matplotlib would change the bytes
    assert b"matplotlib" not in png


def test_the_worst_metrics_are_drawn_wherever_they_stand():
    here = vector()
    order = np.random.default_rng(1).permutation(20)
    there = here | {
        "features": [here["features"][f] for f in order],
        "attribution": attribution(here["attribution"].values[order]),
        "history": here["history"][:, order],
        **{name: here[name][order] for name in ("values", "expectation", "error")},
    }
    assert draw_vector(**there) == draw_vector(**here)


def test_a_metric_behind_the_twelve_worst_is_left_out_and_one_among_them_is_not():
    args = vector()
    blame = np.arange(20, 0, -1.0)
    args["attribution"] = attribution(blame)

    def renamed(f):
        names = list(args["features"])
        names[f] = "another"
        return draw_vector(**args | {"features": names})

    plain_picture = draw_vector(**args)
    assert renamed(12) == plain_picture
    assert renamed(11) != plain_picture


def test_without_an_attribution_the_errors_are_drawn():
    args = vector() | {"attribution": None}
    assert draw_vector(**args) != draw_vector(**vector())
    assert draw_map(**chamber() | {"attribution": None}) != draw_map(**chamber())


def test_an_explanation_that_ended_early_says_so():
    args = chamber()
    early = Attribution("occlusion", args["attribution"].values, 0.1, complete=False)
    assert draw_map(**args | {"attribution": early}) != draw_map(**args)


def test_rows_are_called_what_people_call_them():
    args = chamber(8, 60)
    counted = draw_map(**args | {"row_numbers": [1, 2, 3, 4, 5, 6, 7, 8]})
    assert draw_map(**args | {"row_numbers": [1, 2, 3, 4, 9, 10, 11, 12]}) != counted


def test_colour_bars_say_their_unit_and_shares_are_of_all():
    drawn = draw_map(**chamber(), form="svg")
    assert [drawn.count(f">{unit}<".encode()) for unit in ("counts", "σ", "% of it")] == [2, 1, 1]
    part = chamber()
    efficiency = {"values": part["values"] / 50, "expectation": part["expectation"] / 50}
    assert b">counts<" not in draw_map(**part | efficiency, form="svg")
    twice = attribution(2 * part["attribution"].values)
    assert draw_map(**part | {"attribution": twice}, form="svg") == drawn


def test_an_end_cap_is_round():
    args = chamber(22, 22)
    assert draw_map(**args, square=True) != draw_map(**args)


def test_a_profile_below_nothing_is_told_apart():
    args = chamber() | {"attribution": None}
    below = {"values": args["values"] - 100, "expectation": args["expectation"] - 100}
    lower = below["values"].copy()
    lower[2, 3] -= 20
    assert draw_map(**args | below) != draw_map(**args | below | {"values": lower})


def test_a_picture_says_when_and_in_which_run(at_the_peak):
    incident, evidence, explanation = at_the_peak
    told = picture(incident, evidence, explanation, form="svg").decode()
    assert "sample of 2027-01-15 08:00:00 UTC, run 321909, lumisections 12 to 19; occlusion" in told
    alone = replace(incident, last_lumisection=12)
    assert "lumisection 12;" in picture(alone, evidence, explanation, form="svg").decode()
    without = replace(incident, run=None, first_lumisection=None, last_lumisection=None)
    assert "08:00:00 UTC; occlusion" in picture(without, evidence, explanation, form="svg").decode()
    assert picture(incident, evidence, explanation, LIGHT) != picture(incident, evidence, explanation)


def test_a_masked_cell_does_not_look_like_a_dead_one():
    dead = chamber() | {"attribution": None}
    masked = dead["values"].copy()
    masked[4, 16:32] = np.nan
    assert draw_map(**dead | {"values": masked}) != draw_map(**dead)


@pytest.mark.parametrize("name", ["", "$x$", "a\nb\x00\t", "中文指标", "x" * 500, "$\\frac{", "%s{}"])
def test_any_name_can_be_drawn(name):
    args = vector(metrics=2)
    assert size(draw_vector(**args | {"features": [name, "b"], "title": name})) == (1200, 675)
    assert size(draw_map(**chamber(2, 3) | {"title": name})) == (1200, 675)


@pytest.mark.parametrize(
    ("fill", "history"), [(0.0, 4), (np.nan, 4), (3e38, 1), (-3e38, 4), (1e-40, 4), (1e6, 0), (np.nan, 0)]
)
def test_any_vector_can_be_drawn(fill, history):
    args = vector(metrics=1, history=history)
    whole = np.full(1, fill, dtype=np.float32)
    args |= {"values": whole, "error": whole, "attribution": attribution(whole)}
    assert size(draw_vector(**args | {"expectation": -whole})) == (1200, 675)


@pytest.mark.parametrize("fill", [0.0, np.nan, 3e38, -3e38, 1e-40])
def test_any_map_can_be_drawn(fill):
    whole = np.full((3, 4), fill, dtype=np.float32)
    args = {"values": whole, "expectation": -whole, "error": whole, "attribution": attribution(whole)}
    assert size(draw_map(**args, title="")) == (1200, 675)


@settings(max_examples=200)
@given(st.text(), st.integers(3, 40))
def test_a_name_becomes_one_short_line(name, length):
    short = plain(name, length)
    assert min(len(name), length) <= len(short) <= length  # where no font has a glyph its number stands
    assert short == "" or short.isprintable()
    if name.isascii() and name.isprintable() and len(name) <= length:
        assert short == name


@pytest.mark.parametrize("letter", ["W", "i", "ж", "中", "م"])
def test_wide_letters_do_not_run_off_the_page(letter):
    assert len(fitted("i" * 500, 20)) > 2 * len(fitted("W" * 500, 20))
    args = vector() | {"features": [letter * 300, *vector()["features"][1:]], "causes": [letter * 300]}
    pixels = image_of(draw_vector(**args | {"title": letter * 300, "note": letter * 300}))
    assert (pixels[:, :6] == pixels[0, 0]).all()
    assert (pixels[:, -6:] == pixels[0, 0]).all()


def test_a_long_name_keeps_both_ends():
    assert plain("net.eth0.received_bytes", 11) == "net.e…bytes"


def test_drawing_loads_neither_torch_nor_the_state_of_pyplot():
    unwanted = "{'torch', 'captum', 'matplotlib.pyplot'}"
    code = f"import sys, anomalyd.interpret.pictures.drawing; print({unwanted} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_no_font_has_is_told_by_its_number():
    assert plain("x中", 30) in ("x中", "x[4e2d]")
    assert len(plain("中" * 30, 24)) == 24


def test_the_causes_are_drawn_whatever_the_attribution_blames():
    args = vector() | {"causes": ["metric_17", "metric_11"], "form": "svg"}
    assert drawn_metrics(args["features"], args["attribution"].values, args["causes"])[:2] == (
        "metric_17",
        "metric_11",
    )
    without = draw_vector(**args | {"causes": []})
    assert without.count(b">metric_17<") < draw_vector(**args).count(b">metric_17<")


def test_metrics_that_have_no_part_in_it_are_not_drawn():
    blame = np.zeros(20, dtype=np.float32)
    blame[[3, 7]] = 2.0, 1.0
    attribution = Attribution("occlusion", blame, 0.1)
    args = vector() | {"form": "svg", "causes": ["metric_5"], "attribution": attribution}
    shown = draw_vector(**args)
    drawn = [m for m in range(20) if f">metric_{m}<".encode() in shown]
    assert drawn == [3, 5, 7]


def test_the_onset_and_what_was_expected_before_it_are_drawn():
    args = vector() | {"form": "svg"}
    shown = draw_vector(**args | {"onset": NOW - 10, "width": np.ones(20, dtype=np.float32)})
    assert b"> onset <" in shown
    assert b"> onset <" not in draw_vector(**args)
    assert draw_vector(**args, theme=LIGHT) != draw_vector(**args)


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e30, 1e30)))
def test_shares_are_whole_and_add_up(blame):
    shares = whole_shares(blame)
    assert shares.sum() == (100 if (blame > 0).any() else 0)
    assert (shares >= 0).all()
    assert (shares[blame <= 0] == 0).all()
