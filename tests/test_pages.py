"""The HTML page: whole, valid, self-contained, escaped; its formulas and pictures rendered by a real browser."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmverify import Value
from rmverify.claims.ledger import Claim, Evidence, Report, Result, load
from rmverify.views.claims import Asked
from rmverify.views.page import claims_page, formula

MATHML = "{http://www.w3.org/1998/Math/MathML}"
VOID = {"meta", "br", "hr", "img", "input", "link", "col", "wbr"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STEPS = [2.0**-k for k in range(1, 6)]
PICTURE = {
    "x": "step h",
    "y": "error <&> $\\nope{",
    "curves": {"scheme 1": (STEPS, [h**2 for h in STEPS]), "scheme 2": (STEPS, [h**3 for h in STEPS])},
}


def a_claim(id="B2", **said) -> Claim:
    said = {
        "statement": "what is said",
        "formula": r"\mathbb{E}\,\|x\|^2 \lesssim \frac{L^4}{t}",
        "source": "a paper",
        "provenance": "derived",
        "left": "the left side",
        "right_text": "the right side",
        "hypotheses": ("h <= 1/L",),
    } | said
    return Claim(id=id, measure=lambda look: iter(()), **said)


def evidence(**more) -> Evidence:
    said = {"computed": "one side", "bound": "the other", "domain": "a box", "source": "here", "seconds": 1.25}
    return Evidence("exact", "the largest ratio", "holds with constant", **said | more)


FULL = evidence(
    label="lower",
    constant=Value(0.125, "exact", 1e-9),
    where={"lambda": 0.5, "h": 0.25},
    rows=({"h": 0.5, "ratio": Value(0.0625, "exact", 1e-10)}, {"h": 0.25, "note": None, "fine": True}),
    picture=PICTURE,
)
REPORT = Report(
    [
        Result(a_claim(), (FULL, evidence(picture=PICTURE), Evidence("symbolic", "the series", "holds")), 2.5),
        Result(
            a_claim("C1"),
            (Evidence("exact", "a term", "violated", "1.5 h^3", "h^3", where={"v": 0.375}, picture=PICTURE),),
            0.5,
        ),
        Result(a_claim("D2"), (), 0.0),
    ]
)


class Reader(HTMLParser):
    """Elements with their attributes in order, text, and complaints where tags do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open, self.complaints = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.complaints.append(tag)

    def handle_data(self, data):
        self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


PAGE = claims_page(REPORT, Asked("digits: Gaussian in dimension 64", ("--target", "digits"), 300))


def test_the_page_is_html_whose_tags_nest():
    reader = Reader(PAGE)
    assert PAGE.startswith("<!DOCTYPE html>\n<html lang=")
    assert not reader.complaints
    assert not reader.open
    assert ("meta", {"charset": "utf-8"}) in reader.elements


def test_every_id_occurs_once_and_every_reference_leads_to_one():
    elements = Reader(PAGE).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [a[name] for _, a in elements for name in ("href", "xlink:href") if name in a]
    references += [f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", PAGE)]
    assert len(references) > 3 * len(REPORT)
    assert {r[0] for r in references} == {"#"}
    assert {r[1:] for r in references} <= set(ids)


def test_nothing_is_fetched_and_nothing_runs():
    reader = Reader(PAGE)
    assert not {tag for tag, _ in reader.elements} & {"script", "link", "img", "iframe", "object", "embed", "image"}
    for _, attributes in reader.elements:
        assert not {"src", "srcset", "data", "action"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in PAGE
    assert not re.search(r"url\((?!#)", PAGE)
    (policy,) = (a["content"] for t, a in reader.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_the_summary_comes_first_and_leads_to_a_section_for_every_claim():
    reader = Reader(PAGE)
    anchors = [attributes["href"] for tag, attributes in reader.elements if tag == "a"]
    sections = [attributes["id"] for tag, attributes in reader.elements if tag == "section"]
    assert anchors == ["#B2", "#C1", "#D2"]
    assert sections == ["B2", "C1", "D2"]
    assert PAGE.index("#D2") < PAGE.index("<section")


def test_everything_that_is_known_is_on_the_page():
    text = Reader(PAGE).text
    for part in (
        "3 claims (holds with constant: 1, inconclusive: 1, violated: 1).",
        "digits: Gaussian in dimension 64",
        "up to 300 boxes for each piece",
        "holds with constant C >= 0.1249 at lambda=0.5, h=0.25",  # 0.125 less its error, rounded down
        "C >= 0.1249 (lower; exact, error 1e-09)",
        "0.0625 ± 1e-10",
        "one side",
        "the other",
        "a box",
        "1.2 s",
        "h <= 1/L",
        "derived (in this project)",
        "the left side",
        "the right side",
        "violated at v=0.375: 1.5 h^3 against h^3",
        "rmverify verify B2 --kind exact --target digits",
        "rmverify verify B2 --kind symbolic --target digits",
    ):
        assert part in text, part


@pytest.mark.slow
def test_the_same_report_gives_the_same_page():
    assert claims_page(REPORT, Asked("digits: Gaussian in dimension 64", ("--target", "digits"), 300)) == PAGE


def page_that_says(text: str, place: str) -> Reader:
    if place in ("statement", "source", "left"):
        found = Result(a_claim(**{place: text}), (evidence(),), 1.0)
    else:
        said = {"computed": text, "where": {text: 1.0}, "rows": ({text: text},)}
        found = Result(a_claim(), (evidence(**{place: said[place]}),), 1.0)
    return Reader(claims_page(Report([found]), Asked()))


@settings(max_examples=25)
@given(
    st.text("<>&\"'\\$%{}ab \n\x00é≲", min_size=1).filter(str.split),
    st.sampled_from(["statement", "source", "left", "computed", "where", "rows"]),
)
def test_text_is_text_and_never_markup(text, place):
    page, plain = page_that_says(text, place), page_that_says("plain", place)
    assert page.elements == plain.elements
    assert not page.complaints
    assert " ".join(text.split()) in page.text


# --- formulas ---------------------------------------------------------------------------------------------------

CHILDREN = {
    **dict.fromkeys(("mfrac", "msub", "msup", "mover", "munder", "mroot"), 2),
    **dict.fromkeys(("msubsup", "munderover"), 3),
}


def elements_of(mathml: str) -> list[ElementTree.Element]:
    """The elements of a formula, each with as many children as it must have."""
    root = ElementTree.fromstring(mathml)
    assert root.tag == MATHML + "math"
    for element in root.iter():
        name = element.tag.removeprefix(MATHML)
        assert len(element) == CHILDREN.get(name, len(element)), mathml
    return list(root.iter())


def test_every_claims_formula_converts():
    claims = load()
    assert claims
    for claim in claims.values():
        elements = elements_of(formula(claim.latex))
        text = "".join(e.text or "" for e in elements)
        assert len(elements) > 5, claim.id
        assert not set(text) & set("\\{}$&"), claim.id
        assert not {e.get("mathvariant") for e in elements} - {None, "normal"}, claim.id


@pytest.mark.parametrize(
    "latex, letter",
    [(r"\mathbb E", "𝔼"), (r"\mathbb{R}", "ℝ"), (r"\mathcal{L}", "ℒ"), (r"\mathcal{X}", "𝒳"), (r"\mathbf{v}", "𝐯")],
)
def test_letters_of_the_alphabets_are_themselves(latex, letter):
    assert letter in [e.text for e in elements_of(formula(latex))]


def test_the_name_of_a_function_is_an_operator():
    (name,) = (e for e in elements_of(formula(r"\nabla \ln q_t")) if e.text == "ln")
    assert name.tag == MATHML + "mo"


@pytest.mark.parametrize("latex", [r"x \nosuchthing y", r"\left( x", "", r"x^"])
def test_what_is_not_understood_is_refused(latex):
    with pytest.raises(ValueError, match="latex: expected"):
        formula(latex)


# --- pictures ---------------------------------------------------------------------------------------------------


def pictures(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def page_with(picture) -> str:
    return claims_page(Report([Result(a_claim(), (evidence(picture=picture),), 1.0)]), Asked())


def test_pictures_are_inside_and_take_the_pages_colours():
    drawings = pictures(PAGE)
    assert len(drawings) == 3
    for drawing in drawings:
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(drawing.get("viewBox").split()[2]) > 100
    assert "currentColor" in PAGE
    assert "#010203" not in PAGE
    assert "metadata" not in PAGE


@pytest.mark.slow
def test_points_without_a_logarithm_are_left_out_and_said_so():
    picture = {"x": "h", "y": "error", "curves": {"a": ([0.5, 0.25, 0.125], [0.25, 0.0, math.inf])}}
    text = Reader(page_with(picture)).text
    assert "are left out" in text
    assert "inf" in text  # among the numbers
    assert "are left out" not in Reader(page_with(PICTURE)).text


def test_without_matplotlib_the_page_says_so_and_has_the_numbers(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = page_with(PICTURE)
    text = Reader(page).text
    assert not pictures(page)
    assert "matplotlib is not installed" in text
    for h in STEPS:
        assert f"{h:.6g}" in text
        assert f"{h**3:.6g}" in text


# --- a real browser ---------------------------------------------------------------------------------------------

MEASURE = """<script>
const found = [...document.querySelectorAll("math, svg, table, h2")].map(e => {
  const box = e.getBoundingClientRect();
  const space = e.namespaceURI.split("/").pop();
  return [e.tagName.toLowerCase(), space, Math.round(box.width), Math.round(box.height)].join(" ");
});
document.title = found.join(";") + "|" + document.documentElement.scrollWidth + "|" + innerWidth
  + "|" + performance.getEntriesByType("resource").length;
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [400, 1200])
def test_chromium_renders_formulas_and_pictures(tmp_path, width):
    """A copy of the page with a script that measures it; its policy against scripts is taken out for that."""
    results = [*REPORT.values(), *(Result(c, (), 0.0) for id, c in load().items() if id not in REPORT)]
    page = claims_page(Report(results), Asked())
    measured = re.sub(r"<meta http-equiv[^>]*>", "", page).replace("</body>", MEASURE + "</body>")
    path = tmp_path / "page.html"
    path.write_text(measured, encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},900", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, encoding="utf-8")
    boxes, scrolled, inner, fetched = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1].split("|")
    found = [box.split() for box in boxes.split(";")]
    sizes = {name: [(int(w), int(h)) for n, _, w, h in found if n == name] for name in ("math", "svg", "table", "h2")}
    assert len(sizes["math"]) == len(results)
    assert len(sizes["svg"]) == 3
    assert {space for name, space, *_ in found if name in ("math", "svg")} == {"MathML", "svg"}
    assert all(w > 20 and h > 10 for boxes in (sizes["math"], sizes["svg"]) for w, h in boxes)
    assert int(scrolled) <= int(inner)  # wide tables scroll by themselves
    assert int(fetched) == 0
