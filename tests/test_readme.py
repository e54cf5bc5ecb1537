"""The numbers of README.md, and of the pages that its sections moved to, are what the package says today."""

from __future__ import annotations

import re
from pathlib import Path

import mutants
import pytest

from rmverify import gallery
from rmverify.claims import load
from rmverify.cli import main
from rmverify.schemes import SHIPPED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DIGITS, MEASURED, EXACT = (
    (ROOT / "docs" / f"{n}.md").read_text(encoding="utf-8") for n in ("digits", "measured", "exact")
)
TABLE = re.search(r"```text\n(Score evaluations.*?)```", README, re.DOTALL)[1].splitlines()


def test_the_table_is_that_of_the_page_of_the_digits():
    assert len(TABLE) == 13
    assert set(TABLE) <= set(DIGITS.splitlines())


@pytest.mark.slow
def test_the_table_is_what_the_command_prints(capsys):
    """Of the schemes that draw no midpoints, which take a second."""
    names = ("euler", "exponential_integrator", "heun", "midpoint", "exponential_sde", "ddpm")
    chosen = [word for name in names for word in ("--scheme", name)]
    assert main(["budget", "digits", "--tv", "0.1", "--seed", "0", *chosen]) == 0
    printed = {tuple(line.split()) for line in capsys.readouterr().out.splitlines()}
    rows = [line for line in TABLE if line.split()[0] in names]
    assert len(rows) == len(names)
    assert {tuple(line.split()) for line in rows} <= printed


def test_every_scheme_has_a_line():
    table = "\n".join(line for line in README.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)", table)) == set(SHIPPED)


def test_claims_commands_and_counts():
    assert set(re.findall(r"\| ([A-Z]\d)(?:, ([A-Z]\d))? \|", README)) <= {
        (a, b) for a in load() for b in ("", *load())
    }
    notebooks = [p for p in (ROOT / "notebooks").glob("*.py") if p.read_text(encoding="utf-8").startswith("# ---")]
    assert (len(notebooks), "nine notebooks" in README) == (9, True)
    assert f"holds {len(gallery.CASES)} faults" in README
    for link in re.findall(r"\]\(((?:docs|notebooks)[^)#]*)\)", README):
        assert (ROOT / link).exists(), link


def test_how_many_mutants_there_are():
    everyone = mutants.load()
    steps = [m for m in everyone.values() if m.of not in mutants.FUNCTIONS]
    places = sum(m.killed_by == "every_place" for m in steps)
    assert f"Each of {len(steps)} deliberately wrong schemes" in MEASURED
    assert f"{len(steps) - places} by a leading constant or the like" in MEASURED
    assert f"{places} that\nare wrong in few places" in MEASURED
    assert f"{len(everyone)} deliberate" in EXACT
