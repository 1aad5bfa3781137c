"""The dashboard in a real browser: every page and state, what a click does, and how long one waits.

With SCREENSHOTS=FOLDER the pictures of the README are written there.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from dashboard_reports import HOSTILE, a_night, incident, keep, many, still_open, vector
from dashboard_server import CHROMIUM, dashboard

from anomalyd.dashboard.settings import Settings
from anomalyd.reports.queries import Queries
from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.report import Severity
from anomalyd.reports.storage.store import Store

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.timeout(600),
]

WAIT_MS = 120_000  # a machine that does other things, too
ADDRESSES = {
    "now": "/",
    "incidents": "/incidents",
    "incident": "/incident?report=bb000001",
    "explore": "/explore?entity=host/daq-01&back=1+h",
    "runs": "/runs",
    "models": "/models",
    "assistant": "/assistant?q=what+is+open?",
}
BACKGROUND = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
FOLLOWED = "[...document.querySelectorAll('style')].some(s => s.textContent.includes('#5b636c'))"
DONE = """() => {
    const app = document.querySelector('.stApp');
    return app && app.getAttribute('data-test-script-state') === 'notRunning'
        && document.querySelector('.stMain .stVerticalBlock .stElementContainer')
        && !document.querySelector('[data-testid=stSkeleton]');
}"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Stores of every kind, by name."""
    folder = tmp_path_factory.mktemp("stores")
    places = {name: folder / f"{name}.db" for name in ("night", "empty", "crowded", "hostile")}
    a_night(f"sqlite:///{places['night']}")
    Store.open(f"sqlite:///{places['empty']}").close()
    many(places["crowded"], 100_000, 10_000)
    with closing(Store.open(f"sqlite:///{places['hostile']}")) as store:
        for k, entity in enumerate((HOSTILE, "host/<img src=x onerror='window.hit=1'>", "[a](javascript:1)")):
            case = incident(f"dead{k}", entity=entity, causes=("<img src=x onerror='window.hit=1'>",))
            keep(store, case, vector(case.peak_time))
        case = incident("beef", entity=HOSTILE, **still_open(Severity.CRITICAL, 700))
        keep(store, case, vector(case.peak_time))
    return places


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with dashboard(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def context(browser):
    """One window for all, so that Streamlit's own code is loaded once."""
    with closing(browser.new_context(color_scheme="dark", accept_downloads=True)) as context:
        context.set_default_timeout(WAIT_MS)
        yield context


@pytest.fixture
def visit(context, site):
    """Open an address of the dashboard, on a page that is open if one is given; nothing may fail there."""
    failures, opened = [], []

    def open_page(path, page=None):
        if page is None:
            page = context.new_page()
            opened.append(page)
            page.set_viewport_size({"width": 1400, "height": 1000})
            page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(site.address + path)
        settled(page)
        return page

    yield open_page
    for page in opened:
        page.close()
    assert failures == []


def settled(page):
    """Wait until the page is drawn; there must be no box of an error on it."""
    page.wait_for_function(DONE)
    for box in ("stException", "stAlertContentError"):
        found = page.get_by_test_id(box)
        assert found.count() == 0, found.first.inner_text()


def said(page):
    return page.locator(".stMain").inner_text()


def picture(page, name):
    """Keep a picture of the page where SCREENSHOTS says so; charts and images are given time to appear."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_every_page_dark_light_and_on_a_phone(visit, site, stores):
    site.show(stores["night"])
    page = None
    for name, path in ADDRESSES.items():
        page = visit(path, page)
        assert page.evaluate(BACKGROUND) == "rgb(16, 20, 24)", name
        picture(page, f"{name}-dark")
        page.emulate_media(color_scheme="light")
        page.wait_for_function(f"{BACKGROUND} === 'rgb(255, 255, 255)'")
        settled(page)
        if name == "incident" or os.environ.get("SCREENSHOTS"):
            page.wait_for_function(FOLLOWED)  # pictures and badges, too
            settled(page)
        picture(page, f"{name}-light")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 844})
        settled(page)
        assert page.evaluate("document.querySelector('.stMain').scrollWidth - innerWidth") <= 0, name
        if name == "now":
            badge = page.locator(".ad-badge").first.bounding_box()
            assert badge["x"] + badge["width"] <= 390
            assert badge["y"] + badge["height"] <= 844
        picture(page, f"{name}-phone")
        page.set_viewport_size({"width": 1400, "height": 1000})


def test_what_the_pages_say_of_a_night(visit, site, stores):
    site.show(stores["night"])
    page = visit("/")
    assert "2 critical" in said(page)
    assert page.locator(".ad-group").count() == 2
    assert page.locator(".ad-wheel").count() == 5
    # A click on the chamber leads to its report, which names the hosts that failed just then.
    page.locator('.ad-wheel a[href*="bb000001"]').click()
    page.wait_for_url("**/incident?report=bb000001")
    settled(page)
    text = said(page)
    assert "DT/W+1/MB2/S07" in text
    assert "At the same time elsewhere" in text
    assert "by chance · elsewhere: host" in text
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/incident?report=aa*")
    page = visit("/incidents?status=open", page)
    assert "15 incidents of 39" in said(page)
    assert "host/daq-02" in said(visit("/explore?entity=host/daq-01&other=host/daq-02&back=1+h", page))


def test_an_empty_store_no_store_and_one_that_comes(visit, site, stores):
    site.show(stores["empty"])
    page = visit("/")
    assert "Nothing was received yet" in said(page)
    for name in list(ADDRESSES)[1:]:
        page.locator(f"[data-testid=stSidebarNav] a[href$='/{name}']").click()
        page.wait_for_url(f"**/{name}")
        settled(page)
        if name == "models":
            page.get_by_text("There is no trained model yet").wait_for()
    site.show(None)
    page.goto(site.address)
    page.get_by_text("there is no report store").wait_for()
    site.show(stores["night"])  # the page looks again by itself
    page.locator(".ad-wheel").first.wait_for()
    settled(page)


def test_old_data_are_told(visit, site, stores, tmp_path):
    """The daemon is down: the page goes on showing what there is, and says how old it is."""
    site.show(stores["hostile"])
    page = visit("/")
    assert "no data for" in said(page)
    assert "1 critical" in said(page)


def test_names_stay_text(visit, site, stores):
    site.show(stores["hostile"])
    page = None
    for path in ("/", "/incidents", "/assistant?q=what+is+open?", "/incident?report=dead1"):
        page = visit(path, page)
        assert page.evaluate("window.hit") is None, path
        assert page.locator(".stMain a[href^='javascript']").count() == 0
        assert page.locator(".stMain img[src='x']").count() == 0
    assert "<img src=x" in said(page)


def test_the_page_looks_again_by_itself(visit, site, stores):
    site.show(stores["night"])
    page = visit("/")
    page.evaluate("window.same = 1")
    with closing(Store.open(site.url)) as store:
        keep(store, incident("fresh", entity="host/daq-60", **still_open(Severity.CRITICAL, 5)))
    page.get_by_text("3 critical").first.wait_for()
    assert page.evaluate("window.same") == 1


def test_something_is_done_about_an_incident(visit, site, stores):
    site.show(stores["night"])
    page = visit("/incident?report=bb000001")
    page.get_by_test_id("stButtonGroup").get_by_text("False alarm").click()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Your name").press("Tab")
    page.get_by_label("Reason or text").fill("high voltage was ramped")
    page.get_by_label("Reason or text").press("Tab")
    page.get_by_text("Say that this was a false alarm").wait_for()
    page.get_by_role("button", name="Do it").click()
    page.get_by_text("✓ false alarm").wait_for()
    with closing(Queries.open(site.url)) as queries:
        (remark,) = queries.remarks("bb000001")
    assert (remark.kind, remark.who) == (RemarkKind.FALSE_ALARM, "Ada")
    assert remark.text == "high voltage was ramped"


def test_a_click_on_the_map_outlines_the_fault(visit, site, stores):
    site.show(stores["night"])
    page = visit("/incident?report=bb000001")
    page.get_by_text("Outline the fault").scroll_into_view_if_needed()
    cells = page.get_by_test_id("stVegaLiteChart").last.locator("svg .mark-rect path")
    cells.and_(page.locator("[aria-label*='layer: 2;'][aria-label*='wire: 12;']")).click()
    page.get_by_role("button", name="Keep this outline").wait_for()
    page.get_by_label("Your name").last.fill("Ada")
    page.get_by_label("Your name").last.press("Tab")
    page.get_by_role("button", name="Keep this outline").click()
    page.get_by_text("Kept as label").wait_for()
    with closing(Queries.open(site.url)) as queries:
        (kept,) = queries.cases.outlines("bb000001")
    assert kept.who == "Ada"


def test_the_exported_page_needs_nothing_else(visit, site, stores, tmp_path):
    site.show(stores["night"])
    page = visit("/incident?report=bb000001")
    page.get_by_role("button", name="Share").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="HTML that stands alone").click()
    file = tmp_path / "report.html"
    download.value.save_as(file)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("[...document.images].every(i => i.naturalWidth > 100)")
    assert page.locator("img").count() == 2
    assert "DT/W+1/MB2/S07" in page.locator("body").inner_text()


def test_ten_thousand_open_incidents_and_how_long_one_waits(visit, site, stores, capsys):
    """Measured and printed: how quick it is depends on the machine."""
    site.show(stores["crowded"])
    page = visit("/models")  # the browser has loaded the page's own code
    took = {}
    for name, path, seen in (
        ("now", "/", ".ad-group"),
        ("incidents", "/incidents", "[data-testid=stDataFrame]"),
        ("incident", f"/incident?report={7:016x}", ".ad-facts"),
    ):
        began = time.perf_counter()
        page.goto(site.address + path)
        page.locator(seen).first.wait_for()
        took[name] = time.perf_counter() - began
        settled(page)
    with capsys.disabled():
        print("  100,000 reports:", ", ".join(f"{name} {s:.1f} s" for name, s in took.items()), end=" ")
    assert "10,000 open incidents" in said(visit("/", page))
    visit("/incidents?p=2", page)
    assert "100,000 incidents" in said(page)
    with sqlite3.connect(stores["crowded"]) as connection:
        assert connection.execute("select count(*) from reports").fetchone() == (100_000,)
    connection.close()


def test_who_may_only_read(browser, stores, tmp_path):
    """A proxy names people; those that may not write are offered nothing to do."""
    with dashboard(tmp_path, Settings(user_header="X-Forwarded-User", annotate=("ada*",))) as site:
        site.show(stores["night"])
        for who in ("bob", None):
            headers = {"X-Forwarded-User": who} if who else {}
            with closing(browser.new_context(extra_http_headers=headers)) as context:
                page = context.new_page()
                page.goto(f"{site.address}/incident?report=bb000001")
                if who is None:
                    page.get_by_text("Nobody is named in the header").wait_for(timeout=WAIT_MS)
                    assert "MB2" not in said(page)
                    continue
                page.get_by_text("Why it was flagged").wait_for(timeout=WAIT_MS)
                settled(page)
                assert "You may read here" in said(page)
                assert "Acknowledge" not in said(page)
