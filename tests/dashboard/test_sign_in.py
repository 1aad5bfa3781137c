"""People sign in by OpenID Connect with a real provider, and may do what their address allows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from importlib.util import find_spec

import pytest
from dashboard_reports import incident, keep, still_open, vector
from dashboard_server import CHROMIUM, dashboard

from anomalyd.daemon.broker.ports import is_taken, reserve_port
from anomalyd.dashboard.settings import Settings
from anomalyd.reports.report import Severity
from anomalyd.reports.storage.store import Store

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.skipif(
        find_spec("oidc_provider_mock") is None, reason="no OpenID provider: pip install oidc-provider-mock"
    ),
    pytest.mark.skipif(find_spec("authlib") is None, reason="no authlib: pip install 'anomalyd[dashboard]'"),
    pytest.mark.timeout(600),
]

WAIT_MS = 120_000
PEOPLE = ("ada@example.org", "eve@elsewhere.org")


@contextmanager
def provider(folder):
    """Run an OpenID provider that knows these people; give its address."""
    port = reserve_port()
    people = [
        argument
        for email in PEOPLE
        for argument in ("--user-claims", json.dumps({"sub": email.partition("@")[0], "email": email}))
    ]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *people]
    with (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": ""})
        try:
            deadline = time.monotonic() + WAIT_MS / 1000
            while not is_taken(port):
                assert process.poll() is None, (folder / "provider.log").read_text()
                assert time.monotonic() < deadline, (folder / "provider.log").read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(120)


def secrets(issuer):
    def text(address):
        return (
            f'[auth]\nredirect_uri = "{address}/oauth2callback"\n'
            'cookie_secret = "a long random text of a test"\n'
            'client_id = "anomalyd"\nclient_secret = "secret"\n'
            f'server_metadata_url = "{issuer}/.well-known/openid-configuration"\n'
        )

    return text


def only_loopback(route):
    """The provider's page asks for a style sheet of the internet; nothing outside is asked for here."""
    (route.continue_ if "//127.0.0.1" in route.request.url else route.abort)()


def test_who_signs_in_reads_and_who_is_named_may_write(tmp_path):
    settings = Settings(sign_in=True, annotate=("*@example.org",))
    with (
        provider(tmp_path) as issuer,
        dashboard(tmp_path, settings, secrets(issuer)) as site,
        playwright.sync_playwright() as running,
    ):
        with closing(Store.open(site.url)) as store:
            case = incident("lost", **still_open(Severity.CRITICAL, 60))
            keep(store, case, vector(case.peak_time))
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with closing(chromium):
            for email, may_write in zip(PEOPLE, (True, False), strict=True):
                with closing(chromium.new_context()) as context:
                    context.set_default_timeout(WAIT_MS)
                    context.route("**/*", only_loopback)
                    page = context.new_page()
                    page.goto(f"{site.address}/incident?report=lost")
                    page.get_by_role("button", name="Sign in").wait_for()
                    assert page.get_by_text("Why it was flagged").count() == 0
                    page.get_by_role("button", name="Sign in").click()
                    page.get_by_role("button", name=email.partition("@")[0], exact=True).click()
                    # The provider leads back to the first page.
                    page.get_by_text("1 critical").first.wait_for()
                    page.goto(f"{site.address}/incident?report=lost")
                    page.get_by_text("Why it was flagged").wait_for()
                    if not may_write:
                        page.get_by_text("You may read here").wait_for()
                        assert page.get_by_text("Acknowledge", exact=True).count() == 0
                        continue
                    page.get_by_test_id("stButtonGroup").get_by_text("Acknowledge").click()
                    page.get_by_text(f"as {email}").first.wait_for()
                    page.get_by_role("button", name="Do it").click()
                    page.get_by_text("✓ acknowledged").wait_for()
