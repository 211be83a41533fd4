"""The demo in a real browser: two tabs chat, and the chart follows the counters that UDP brings."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import tempfile
import time
import urllib.request
from types import SimpleNamespace

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.integration.programs import ROOT, running

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,960",
)


@pytest.fixture
def demo(tmp_path):
    """The demo as a process of its own, with its addresses."""
    with running(tmp_path, "-m", "examples.demo", "--port", "0") as program:
        url = program.wait_for(r"^galeph demo: (\S+)$")[1]
        program.wait_for("Ctrl-C stops")
        text = program.output()
        yield SimpleNamespace(
            program=program,
            url=url,
            tcp_port=int(re.search(r"nc 127.0.0.1 (\d+)", text)[1]),
            udp_port=int(re.search(r"nc -u -w0 127.0.0.1 (\d+)", text)[1]),
        )
        assert 0 == program.stop()
        assert "Traceback" not in program.output()


@contextlib.contextmanager
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            yield driver
        finally:
            driver.quit()


def send_udp(port, text):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), ("127.0.0.1", port))


class TestWithoutABrowser:
    def test_page(self, demo):
        """The page and what it loads come as what they are."""
        for path, media_type, mark in (
            ("", "text/html", b"<h1>galeph</h1>"),
            ("style.css", "text/css", b"--accent"),
            ("app.js", "text/javascript", b"EventSource"),
        ):
            with urllib.request.urlopen(demo.url + path, timeout=5) as answer:
                assert media_type in answer.headers["Content-Type"]
                assert mark in answer.read()

    def test_tcp_echo(self, demo):
        """What is typed into the TCP port comes back."""
        with socket.create_connection(("127.0.0.1", demo.tcp_port), timeout=5) as sock:
            sock.sendall(b"hello\n")

            assert b"hello\n" == sock.recv(100)

    def test_counters(self, demo):
        """A packet by UDP is in the next event of the stream."""
        with urllib.request.urlopen(demo.url + "counters", timeout=5) as events:
            assert b"data: {}\n" == events.readline()

            send_udp(demo.udp_port, "hits:nan|c\nhits:2|c\nhits:1e999|c\nmisses:1|c\nnonsense")
            events.readline()

            line = events.readline()
            assert {"hits": 2.0, "misses": 1.0} == json.loads(line.removeprefix(b"data: "))


@pytest.mark.browser
def test_two_tabs_and_a_chart(demo):
    """Two tabs chat with each other, and the chart changes after UDP packets were sent."""
    with browser() as driver:
        wait = WebDriverWait(driver, 15, poll_frequency=0.1)

        def text_of(element):
            return driver.find_element(By.ID, element).text

        def say(text):
            driver.find_element(By.ID, "text").send_keys(text)
            driver.find_element(By.CSS_SELECTOR, "#say button").click()

        driver.get(f"{demo.url}?name=Ada")
        ada = driver.current_window_handle
        wait.until(lambda _: text_of("chat-state") == "live" and text_of("sse-state") == "live")
        driver.switch_to.new_window("tab")
        driver.get(f"{demo.url}?name=Grace")
        grace = driver.current_window_handle
        wait.until(lambda _: text_of("chat-state") == "live")
        say("Hello Ada, can you hear me?")
        driver.switch_to.window(ada)
        wait.until(lambda _: "Hello Ada, can you hear me?" in text_of("lines"))
        say("Loud and clear, over WebSocket.")
        driver.switch_to.window(grace)
        wait.until(lambda _: "Loud and clear, over WebSocket." in text_of("lines"))
        driver.switch_to.window(ada)
        wait.until(lambda _: "Ada, Grace" in text_of("members"))

        chart = driver.find_element(By.ID, "chart")
        before = chart.get_attribute("innerHTML")
        assert "polyline" not in before

        for second in range(6):
            for _ in range(4 + 3 * (second % 3)):
                send_udp(demo.udp_port, "hits:1|c")
            send_udp(demo.udp_port, f"misses:{second}|c")
            time.sleep(1)
        wait.until(lambda _: "hits: 42" in text_of("legend"))
        # In one step: the chart is drawn anew every second.
        points = driver.execute_script(
            "return document.querySelector('#chart polyline').getAttribute('points')"
        )

        assert len({point.split(",")[1] for point in points.split()}) > 2

        build = ROOT / "build"
        build.mkdir(exist_ok=True)
        driver.save_screenshot(str(build / "demo.png"))
        errors = [one for one in driver.get_log("browser") if one["level"] == "SEVERE"]
        assert [] == errors
