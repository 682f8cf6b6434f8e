import re
import shutil

import pytest
from chromium import Browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


def test_the_page_is_one_file_that_asks_nobody_else(server):
    answer = server.client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)|https?:|@import|url\(""", answer.text)
    assert not re.search(r"""\s(?:style|on\w+)\s*=""", answer.text)
    options = server.client.get("/v1/schema").json()["sample"]
    assert "heun" in options["solver"]["choices"]
    assert {"seed", "negative_prompt", "num_inference_steps"} <= set(options)
    assert "rewriter" not in options


@needs_chromium
def test_a_person_draws_sees_previews_and_gets_the_settings_back(server, tmp_path):
    with Browser(CHROMIUM, tmp_path, width=1100, height=900) as browser:
        browser.open(server.address)
        browser.wait("document.querySelectorAll('#solver option').length > 2")
        assert browser.run("document.activeElement.id") == "prompt"
        browser.type("a red circle above a blue square")
        browser.run("document.getElementById('num_inference_steps').value = '40'")
        browser.run("document.getElementById('seed').value = '3'")
        browser.press("Enter")
        browser.wait("document.querySelector('#live img')?.src.startsWith('data:image/png')")
        browser.wait("document.getElementById('status').textContent.startsWith('Done')")
        browser.wait("document.querySelector('#history img')?.naturalWidth === 64")
        browser.screenshot(tmp_path / "page.png")
        browser.run("document.getElementById('prompt').value = ''")
        browser.run("document.getElementById('seed').value = ''")
        browser.run("document.querySelector('#history li button').click()")
        browser.wait("document.getElementById('prompt').value === 'a red circle above a blue square'")
        assert browser.run("document.getElementById('seed').value") == "3"
        assert browser.run("document.getElementById('num_inference_steps').value") == "40"
        assert browser.run("document.querySelector('#history a').download").endswith("-3.png")
        assert browser.problems == []


@needs_chromium
def test_a_wrong_setting_is_told_and_focused_and_escape_stops_a_drawing(server, tmp_path):
    with Browser(CHROMIUM, tmp_path, width=390, height=800) as browser:
        browser.open(server.address)
        browser.wait("document.querySelectorAll('#solver option').length > 2")
        browser.type("a star")
        browser.run("document.getElementById('size').value = '63x64'")
        browser.press("Enter")
        browser.wait("document.getElementById('status').classList.contains('bad')")
        assert browser.run("document.activeElement.id") == "size"
        browser.run("document.getElementById('size').value = ''")
        browser.run("document.getElementById('num_inference_steps').value = '400'")
        browser.run("document.getElementById('go').click()")
        browser.wait("document.querySelector('#live img')?.src.startsWith('data:image/png')")
        browser.press("Escape")
        browser.wait("document.getElementById('status').textContent === 'Stopped.'")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), "wider than a phone"
        browser.screenshot(tmp_path / "phone.png")
