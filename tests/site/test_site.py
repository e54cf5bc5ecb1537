"""The built pages in a real browser (Chromium, as Qt brings it): links, formulas, pictures, a phone's width, the dark.

`sphinx-build docs build/site` makes them; nothing here asks the network.
"""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).parents[2] / "build" / "site"
PAGES = sorted(p for p in SITE.rglob("*.html") if "_static" not in p.parts)
PHONE, DESK = 390, 1280

pytestmark = pytest.mark.skipif(not PAGES, reason="build/site: make the pages first, sphinx-build docs build/site")


class Read(HTMLParser):
    """The links of a page, and the places that links can lead to."""

    def __init__(self, page: Path):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[k] for k in ("id", "name") if k in found}
        self.links += [found[k] for k in ("href", "src") if found.get(k)]


@pytest.fixture(scope="module")
def read():
    return {page: Read(page) for page in SITE.rglob("*.html")}


def test_there_is_a_page_for_everything():
    names = {page.relative_to(SITE).as_posix() for page in PAGES}
    assert {"index.html", "theory.html", "made/ledger.html", "made/bugs.html", "schedulers.html"} <= names
    assert len([n for n in names if n.startswith("howto/")]) >= 8
    notebooks = Path(__file__).parents[2] / "notebooks"
    told = {p.stem for p in notebooks.glob("*.py") if p.read_text(encoding="utf-8").startswith("# ---")}
    assert told == {p.stem for p in (SITE / "made" / "notebooks").glob("*.html")}


def test_no_link_is_broken(read):
    broken = []
    for page, found in read.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("#__"):
                continue
            there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            places = read[there].places if there in read else {unquote(parts.fragment)}
            if not there.exists() or (parts.fragment and unquote(parts.fragment) not in places):
                broken.append((page.relative_to(SITE).as_posix(), link))
    assert not broken


# --- in the browser ---------------------------------------------------------------------------------------------

LOOK = """
(function () {
    function bright(color) {
        const c = color.match(/[0-9.]+/g).slice(0, 3).map(Number).map(v => {
            v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
        return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    }
    function ground(element) {
        for (let e = element; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if (!/, 0\\)$/.test(c) && c !== "transparent") return c;
        }
        return "rgb(255, 255, 255)";
    }
    function contrast(element) {
        const a = bright(getComputedStyle(element).color), b = bright(ground(element));
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }
    const text = [...document.querySelectorAll("article p, article li, article td, article code, article math")];
    const dim = text.filter(e => e.innerText !== "" && e.getBoundingClientRect().height > 0 && contrast(e) < 4.5);
    const math = [...document.querySelectorAll("article math")];
    return JSON.stringify({
        wide: document.documentElement.scrollWidth - window.innerWidth,
        dim: dim.slice(0, 3).map(e => e.tagName + ": " + (e.innerText || e.textContent).slice(0, 40)),
        math: math.length,
        flat: math.filter(e => e.getBoundingClientRect().height < 5).length,
        blank: [...document.images].filter(e => !(e.complete && e.naturalWidth > 0)).map(e => e.src),
        raw: [...document.querySelectorAll("article p, article li, article td, article h1, article h2, article h3")]
            .filter(e => /\\$|\\\\\\(|\\\\frac|\\\\mathbb/.test(e.innerText)).map(e => e.innerText.slice(0, 60)),
        small: text.filter(e => parseFloat(getComputedStyle(e).fontSize) < 9).length,
    });
})()
"""


@pytest.fixture(scope="module")
def browser():
    """look(page, width, theme): what the page's own script engine says of it."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = "--no-sandbox --disable-gpu --disable-logging"
    widgets = pytest.importorskip("PySide6.QtWidgets", reason="PySide6: the extra `browser` brings it")
    core = pytest.importorskip("PySide6.QtCore")
    engine = pytest.importorskip("PySide6.QtWebEngineCore")
    views = pytest.importorskip("PySide6.QtWebEngineWidgets")
    app = widgets.QApplication.instance() or widgets.QApplication(["site"])
    errors = []

    class Page(engine.QWebEnginePage):
        def javaScriptConsoleMessage(self, level, message, line, source):
            if level == self.JavaScriptConsoleMessageLevel.ErrorMessageLevel:
                errors.append(message)

    view = views.QWebEngineView()
    page = Page(view)
    view.setPage(page)
    view.show()

    def wait(connect):
        """What a callback is called with."""
        loop, got = core.QEventLoop(), []

        def done(value=None):
            got.append(value)
            loop.quit()

        core.QTimer.singleShot(30_000, loop.quit)
        connect(done)
        if not got:
            loop.exec()
        assert got, "the browser did not answer"
        return got[0]

    def look(path: Path, width: int, theme: str) -> dict:
        errors.clear()
        view.resize(width, 900)

        def load(done):
            page.loadFinished.connect(done, core.Qt.ConnectionType.SingleShotConnection)
            page.load(core.QUrl.fromLocalFile(str(path)))

        assert wait(load), f"{path} does not load"
        wait(lambda done: page.runJavaScript(f"document.body.dataset.theme = '{theme}'; 1", done))
        wait(lambda done: core.QTimer.singleShot(50, done))
        found = json.loads(wait(lambda done: page.runJavaScript(LOOK, done)))
        return found | {"errors": list(errors)}

    look.view = view
    yield look
    view.close()
    page.deleteLater()
    view.deleteLater()
    app.processEvents()


@pytest.mark.parametrize("width, theme", [(PHONE, "light"), (PHONE, "dark"), (DESK, "light"), (DESK, "dark")])
def test_every_page_can_be_read(browser, width, theme):
    """Nothing is wider than the window, no picture and no formula is missing, and text stands out from its ground."""
    faults = {}
    for page in PAGES:
        found = browser(page, width, theme)
        wrong = {k: v for k, v in found.items() if k not in ("math",) and (v > 0 if k == "wide" else v)}
        if wrong:
            faults[page.relative_to(SITE).as_posix()] = wrong
    assert not faults


def test_the_ledger_has_its_formulas(browser):
    from rmverify.claims import load

    assert browser(SITE / "made" / "ledger.html", DESK, "light")["math"] >= len(load())


FAULTS = {
    "wide": '<p style="width: 3000px">too wide</p>',
    "dim": '<p style="color: #ddd; background: #fff">hard to see</p>',
    "blank": '<p>a picture <img src="none.png"></p>',
    "raw": "<p>a formula $x^2$ as it was typed</p>",
    "flat": "<p>a formula <math></math> of nothing</p>",
    "small": '<p style="font-size: 6px">for ants</p>',
    "errors": "<p>a script</p><script>nothing.here()</script>",
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen(browser, tmp_path, name):
    page = tmp_path / "page.html"
    page.write_text(f"<html><body><article>{FAULTS[name]}</article></body></html>", encoding="utf-8")
    found = browser(page, DESK, "light")
    assert found[name] > 0 if name in ("wide", "flat", "small") else found[name]
    page.write_text("<html><body><article><p>A page.</p></article></body></html>", encoding="utf-8")
    assert not any(v > 0 if k == "wide" else v for k, v in browser(page, DESK, "light").items())
