"""How the documentation is built: `sphinx-build -W docs build/site`.

What the package says about itself is written here before the pages are read: the ledger with its findings, the bugs,
the reference. The notebooks are run. Formulas are MathML, so that a page needs no network and no script.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import re
from pathlib import Path

import sphinx.util.inspect
from docutils import nodes

import rmverify
from rmverify import _ROOMS, _WHERE, gallery
from rmverify.claims import load, verify
from rmverify.claims.words import finding_text
from rmverify.views.claims import claim_lines
from rmverify.views.page import formula

HERE = Path(__file__).parent
MADE = HERE / "made"
NOTEBOOKS = HERE.parent / "notebooks"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(NOTEBOOKS), os.environ.get("PYTHONPATH"))))

project = "rmverify"
copyright = "the rmverify authors, BSD-3-Clause"
version = release = rmverify.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_timeout = 180
nb_execution_raise_on_error = True
nb_merge_streams = True
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
html_theme = "furo"
html_title = "rmverify"
html_static_path = ["style"]
html_css_files = ["pages.css"]
html_show_sphinx = False
suppress_warnings = ["ref.python"]  # words of docstrings that several attributes have for a name
html_math_renderer = "mathml"

# a step's functions dispatch on their argument: one signature says it, not one for each library
sphinx.util.inspect.is_singledispatch_function = lambda function: False


# --- pages that the package writes ------------------------------------------------------------------------------


def findings() -> dict[str, str]:
    """What `rmverify verify --all` finds, anew where the package has changed since the last time."""
    sources = sorted(Path(rmverify.__file__).parent.rglob("*.py"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    kept = MADE / "findings.json"
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["package"] == key:
            return found["findings"]
    told = {id: finding_text(result) for id, result in verify(field=True, workers=2).items()}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"package": key, "findings": told}), encoding="utf-8")
    return told


def ledger() -> str:
    """Every claim of the ledger, by paper, and what was found when the pages were built."""
    claims, found = load(), findings()
    lines = [
        "# The ledger", "",
        "Every quantitative claim that this package goes through, with its source, its provenance, what is compared, "
        "and what was found when these pages were built, by `rmverify verify --all`. `rmverify verify B2 -v` prints "
        "the evidence for one. C is the smallest constant with which a claim holds on what was looked at: ≥ the "
        "largest ratio that a search saw, ≤ a bound on it, = both.", "",
    ]  # fmt: skip
    for paper in dict.fromkeys(claim.paper for claim in claims.values()):
        lines += [f"## {paper}", ""]
        for claim in claims.values():
            if claim.paper == paper:
                about = [("finding", found[claim.id]), *((n, t) for n, t in claim_lines(claim)[1:] if t != "-")]
                lines += [f"### {claim.id}: {_plain(claim.statement)}", "", f"$$\n{claim.latex}\n$$", ""]
                lines += [f"- **{name}**: {_plain('; '.join(text.splitlines()))}" for name, text in about] + [""]
    return "\n".join(lines)


def bugs() -> str:
    """The gallery of published faults, a section each."""
    lines = [
        "# The gallery of bugs", "",
        "Faults that others found and published, each as a pair of a wrong sampler and a right one. `rmverify gallery` "
        "refutes every one of them by an exact law, and says which weaker tests would have let it pass.", "",
    ]  # fmt: skip
    for name in gallery.CASES:
        case = gallery.load(name)
        story = inspect.cleandoc(inspect.getmodule(case.wrong).__doc__ or "").split("\n\n", 1)
        lines += [f"## {name}", "", f"**{_plain(case.title)}.** {_plain(case.told)}", ""]
        for part in story[1:]:
            for block in part.split("\n\n"):
                lines += [f"```text\n{block}\n```" if block.startswith(" ") else _plain(block), ""]
        lines += [f"- {_plain(case.check.what)}; due: {_plain(case.check.due)}"]
        lines += [f"- read, not run: <{link}>" for link in case.links] + [""]
    return "\n".join(lines)


def reference() -> dict[str, str]:
    """A page for each room that users import, and one for the names of `rmverify` itself: every object once."""
    seen: set[int] = set()
    pages = {"rmverify": _page("rmverify", rmverify.__doc__ or "", [("rmverify", name) for name in _WHERE], seen)}
    for name, path in [*_ROOMS.items(), ("testing", "testing")]:
        module = importlib.import_module(f"rmverify.{path}")
        public = [(module.__name__, each) for each in module.__all__]
        title = "rmverify.testing" if name == "testing" else f"rm.{name}"
        pages[name] = _page(title, module.__doc__ or "", public, seen)
    return pages


def _page(title: str, about: str, names: list[tuple[str, str]], seen: set[int]) -> str:
    lines = [title, "=" * len(title), "", _escaped(inspect.cleandoc(about).split("\n\n")[0]), ""]
    for module, name in names:
        value = getattr(importlib.import_module(module), name)
        if id(value) in seen:
            continue
        seen.add(id(value))
        if callable(value) or inspect.ismodule(value):
            lines += [f".. {_directive(value)}:: {module}.{name}", ""]
        else:
            entries = ", ".join(map(str, value)) if isinstance(value, dict | tuple | list) else repr(value)
            if " at 0x" in entries:  # of functions: neither to be read nor the same twice
                entries = f"{len(value)} of {type(next(iter(value))).__name__}"
            lines += [f".. py:data:: {module}.{name}", "", f"   {_escaped(entries)}", ""]
    return "\n".join(lines)


def _directive(value: object) -> str:
    if inspect.ismodule(value):
        return "automodule"
    if inspect.isclass(value):
        return "autoexception" if issubclass(value, Exception) else "autoclass"
    return "autofunction"


def _plain(text: str) -> str:
    """Text that Markdown is not to take for more."""
    return re.sub(r"([\\*_`$<\[\]|^])", r"\\\1", text)


def write_pages() -> None:
    """All of them, and the notebooks beside them; a page that is as before is left alone."""
    fresh = {"ledger.md": ledger(), "bugs.md": bugs()}
    pages = reference()
    fresh |= {f"reference/{name}.rst": text for name, text in pages.items()}
    listed = "\n".join(f"   {name}" for name in pages)
    fresh["reference/index.rst"] = (
        "Reference\n=========\n\nEvery public name, from its docstring. In Python: ``import rmverify as rm``.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{listed}\n"
    )
    for source in sorted(NOTEBOOKS.glob("*.py")):
        if (text := source.read_text(encoding="utf-8")).startswith("# ---"):  # not what they import
            fresh[f"notebooks/{source.name}"] = text
    for path, text in fresh.items():
        there = MADE / path
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists() or there.read_text(encoding="utf-8") != text:
            there.write_text(text, encoding="utf-8")
    for path in MADE.rglob("*.*"):
        if path.is_file() and path.relative_to(MADE).as_posix() not in [*fresh, "findings.json"]:
            path.unlink()


# --- formulas, and docstrings that are not reStructuredText -------------------------------------------------------


def visit_inline(self, node):
    self.body.append(formula(node.astext()).replace(' display="block"', ""))
    raise nodes.SkipNode


def visit_block(self, node):
    self.body.append(f'<div class="formula">{formula(node.astext())}</div>')
    raise nodes.SkipNode


def _escaped(text: str) -> str:
    """Stars and bars outside of code as themselves: docstrings have |x|, and a * b."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", text)
    parts[::2] = [re.sub(r"([|*\\])", r"\\\1", part) for part in parts[::2]]
    parts[::2] = [re.sub(r"(?<=\w)_(?!\w)", r"\\_", part) for part in parts[::2]]
    return "".join(parts)


def escape(app, what, name, obj, options, lines):
    inside = False
    for k, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            inside = True
        elif not line.strip():
            inside = False
        if not inside:
            lines[k] = _escaped(line)


def setup(app):
    write_pages()
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("autodoc-process-docstring", escape, priority=100)
