"""The how-tos do what they say: their Python runs, their files are read, and their commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rmverify.cli.main import _parser, main

FOLDER = Path(__file__).parents[1] / "docs"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted((FOLDER / "howto").glob("*.md"))}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("name", [name for name in PAGES if name != "test-suite" and blocks(PAGES[name], "python")])
def test_the_python_of_a_page_runs(name):
    space: dict = {}
    for block in blocks(PAGES[name], "python"):
        exec(compile(block, f"{name}.md", "exec"), space)


def commands():
    for name, text in [*PAGES.items(), ("index", (FOLDER / "index.md").read_text(encoding="utf-8"))]:
        for block in blocks(text, "sh"):
            for line in block.splitlines():
                yield pytest.param(line.split("&&")[-1].replace(".venv/bin/", "").strip(), id=f"{name}: {line[:40]}")


@pytest.mark.parametrize("line", list(commands()))
def test_a_command_is_one(line):
    program, *arguments = shlex.split(line)
    assert program == "rmverify"
    _parser().parse_args(arguments)


def test_the_lemmas_of_the_page(tmp_path, capsys):
    (block,) = blocks(PAGES["extend"], "toml")
    file = tmp_path / "mine.toml"
    file.write_text(block, encoding="utf-8")
    assert main(["exponents", str(file)]) == 0
    assert "up to constants: d^{1/3} eps^{-2/3}" in capsys.readouterr().out
    assert "here d^{1/3} ε^{−2/3}" in PAGES["extend"]


@pytest.mark.slow
def test_the_loop_of_the_page_passes_its_audit_and_broken_as_told_it_does_not(tmp_path, capsys, monkeypatch):
    block = blocks(PAGES["audit"], "python")[0]
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(block, encoding="utf-8")
    assert main(["audit", "mine.py:make", "--order", "1", "--bookkeeping"]) == 0
    assert "order 1: holds" in " ".join(capsys.readouterr().out.split())
    assert "(then - now)" in block
    assert "model(x, now)" in block
    for wrong in (
        block.replace("(then - now)", "(then - sigmas[1])"),
        block.replace("model(x, now)", "model(x, then)"),
    ):
        Path("broken.py").write_text(wrong, encoding="utf-8")
        assert main(["audit", "broken.py:make", "--order", "1", "--bookkeeping"]) == 1


@pytest.mark.slow
def test_a_slip_of_the_pages_ddim_shows_in_the_words_that_the_page_quotes(tmp_path, capsys, monkeypatch):
    code = "\n".join(blocks(PAGES["audit"], "python")[:2])
    page = " ".join(PAGES["audit"].split())
    monkeypatch.chdir(tmp_path)
    assert "model(x, now)\n            x = np.sqrt(b)" in code
    late = code.replace("times = ", "times = late = ").replace(
        "model(x, now)\n            x = np.sqrt(b)",
        "model(x, late[min(list(late).index(now) + 1, n - 1)])\n            x = np.sqrt(b)",
    )
    for text, words in ((code, "to rounding"), (late, "as far as can be seen beside the discretization")):
        Path("mine.py").write_text(text, encoding="utf-8")
        assert main(["audit", "mine.py:make_ddim", "--bookkeeping", "--steps", "10", "20", "40"]) == 0
        assert words in " ".join(capsys.readouterr().out.split())
        assert f'"{words}"' in page


def test_the_tests_of_the_page_pass():
    """With the sampler of the page before it; a rewrite of it stands for the fused one."""
    space: dict = {}
    exec(blocks(PAGES["audit"], "python")[0], space)
    (block,) = blocks(PAGES["test-suite"], "python")
    exec(block, space | {"fused": space["make"](10), "reference": space["make"](10)})
    assert re.findall(r"assert_order\(make, (\d)\)", block) == ["2"]
