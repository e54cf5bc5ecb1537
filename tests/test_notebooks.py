"""The notebooks run from start to end in a real kernel, and their pictures come out."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import warnings
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="jupytext: the extra `test` brings it")
nbclient = pytest.importorskip("nbclient", reason="nbclient: the extra `test` brings it")
pytest.importorskip("ipykernel", reason="ipykernel: the extra `test` brings it")

FOLDER = Path(__file__).parent.parent / "notebooks"
PICTURES = {
    "exact_laws_and_the_gaussian_trap": 3,
    "from_w2_to_tv": 4,
    "is_my_code_the_algorithm": 4,
    "one_step": 4,
    "reading_a_rate_table": 3,
    "rounds_and_work": 5,
    "where_five_twelfths_comes_from": 3,
    "which_noise_levels": 5,
    "why_randomize": 3,
}


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel of this interpreter, whatever is registered on the machine."""
    home = tmp_path / "kernels" / "here"
    home.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (home / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "here", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    return "here"


def test_every_notebook_is_tested():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*PICTURES, "style"}  # the look of their pictures
    assert not list(FOLDER.glob("*.ipynb"))  # no stored output


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_the_notebook_runs_and_shows_its_pictures(name, kernel):
    notebook = jupytext.read(FOLDER / f"{name}.py")
    assert not any(cell.get("outputs") for cell in notebook.cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's client; the kernel's own output is looked at below
        client = nbclient.NotebookClient(
            notebook, timeout=60, kernel_name=kernel, resources={"metadata": {"path": str(FOLDER)}}
        )
        asyncio.run(client.async_execute())
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {output.output_type for output in outputs}
    assert "error" not in kinds
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    pictures = [base64.b64decode(o.data["image/png"]) for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == PICTURES[name]
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 10_000 for picture in pictures)
