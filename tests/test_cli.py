"""The command line: exit codes, one line for every complaint, data on stdout only, files whole or untouched."""

from __future__ import annotations

import csv
import fcntl
import io
import itertools
import json
import math
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import termios
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from oracles.plain import heun, isotropic_tv, noised, score_of
from scipy.stats import chi2

from rmverify.cli import main

COMMANDS = ("budget", "law", "sample", "schedule")
DIAGONAL = (4.0, 0.25, 0.04)  # a covariance for quick runs
MEAN = (1.0, -2.0, 0.5)
QUICK = ("--scheme", "heun")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def rotation() -> np.ndarray:
    """A rotation of three dimensions that mixes every coordinate."""
    c, s = 0.8, 0.6
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def data_matrix(rows: int = 60) -> np.ndarray:
    """Rows whose covariance is neither diagonal nor isotropic."""
    z = np.random.default_rng(7).standard_normal((rows, 3))
    return z * np.sqrt(DIAGONAL) @ rotation().T + MEAN


def write(name: str, values: object) -> str:
    np.savetxt(name, np.asarray(values, dtype=float), delimiter=",", fmt="%.17g")
    return name


@pytest.fixture
def data() -> str:
    return write("data.csv", data_matrix())


@pytest.fixture
def covariance() -> str:
    return write("covariance.csv", np.diag(DIAGONAL))


def enough(command: str) -> list[str]:
    """The options without which a command is not complete."""
    return ["--out", "out.npy"] if command == "sample" else []


def refused(answer: tuple[int, str, str], *fragments: str) -> str:
    """The one line of a usage error."""
    code, out, err = answer
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("rmverify: ")
    assert err.endswith("\n")
    assert all(fragment in err for fragment in fragments), err
    return err


# --- files that are refused -------------------------------------------------------------------------------------


def npy(array) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


BAD_DATA = {
    "empty": (b"", "empty"),
    "blank": (b"\n \n", "blank"),
    "header only": (b"a,b\n", "header"),
    "words": (b"1,2\n3,red\n", "'red'"),
    "semicolons": (b"1;2\n3;4\n", "commas"),
    "trailing comma": (b"1,2,\n3,4,\n", "empty field"),
    "row names": (b"r1,1,2\nr2,3,4\n", "'r1'"),
    "ragged": (b"1,2\n3,4,5\n", "2 columns"),
    "nan": (b"1,2\n3,nan\n", "nan"),
    "infinity": (b"1,2\n-inf,3\n", "-inf"),
    "one row": (b"1,2\n", "two rows"),
    "not text": (b"\xff\xfe\x00\x01", "UTF-8"),
    "objects": (npy(np.array([[{}]], dtype=object)), "NPY"),
    "vector": (npy(np.ones(4)), "two-dimensional"),
    "complex": (npy(np.ones((3, 2), dtype=complex)), "complex"),
    "truncated": (npy(np.ones((3, 2)))[:-8], "NPY"),
    "constant": (b"1,2\n1,2\n1,2\n", "DATA: every variance is 0"),
}
BAD_COVARIANCE = {
    "empty": (b"", "empty"),
    "not square": (b"1,0,0\n0,1,0\n", "square"),
    "not symmetric": (b"1,0.5\n0.25,1\n", "symmetric"),
    "indefinite": (b"1,2\n2,1\n", "semidefinite"),
    "nan": (b"1,nan\nnan,1\n", "nan"),
    "zeros": (b"0,0\n0,0\n", "zeros"),
    "words": (b"1,0\n0,one\n", "'one'"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_are_refused_in_one_line(run, command, case):
    content, fragment = BAD_DATA[case]
    Path("bad.csv").write_bytes(content)
    line = refused(run(command, "bad.csv", *QUICK, *enough(command)), fragment)
    assert case == "constant" or "bad.csv" in line
    assert os.listdir() == ["bad.csv"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", BAD_COVARIANCE)
def test_bad_covariances_are_refused_in_one_line(run, command, case):
    content, fragment = BAD_COVARIANCE[case]
    Path("bad.csv").write_bytes(content)
    refused(run(command, "bad.csv", "--covariance", *QUICK, *enough(command)), "bad.csv", fragment)
    assert os.listdir() == ["bad.csv"]


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_are_not_there_are_refused_in_one_line(run, command):
    os.mkdir("folder")
    refused(run(command, "nothing.csv", *enough(command)), "nothing.csv", "digits")
    refused(run(command, "folder", *enough(command)), "folder")
    refused(run(command, "", *enough(command)))
    refused(run(command, "folder/nothing.csv\n", *enough(command)))


@pytest.mark.parametrize(
    "scale",
    [
        1e160,
        1e-165,
    ],
)
def test_data_beyond_the_floating_point_range_are_refused_in_one_line(run, scale):
    write("data.csv", data_matrix() * scale)
    refused(run("law", "data.csv", *QUICK))


def test_quoted_numbers_are_numbers(run):
    Path("quoted.csv").write_text('"a","b"\n"1","2"\n"3","5"\n"7","4"\n')
    assert run("law", "quoted.csv", *QUICK)[0] == 0


# --- files that are read ----------------------------------------------------------------------------------------


def law_of(run, *arguments: object) -> dict:
    code, out, err = run("law", *arguments, *QUICK, "--steps", 6, "--json", "--quiet")
    assert (code, err) == (0, "")
    found = json.loads(out)
    del found["data"]
    return found


def test_every_form_of_the_same_data_gives_the_same_answer(run, data):
    text = Path(data).read_text()
    Path("header.csv").write_text("height,width,depth\n" + text)
    Path("mark.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    Path("windows.csv").write_bytes(text.replace("\n", "\r\n").encode())
    Path("blank.csv").write_text(text.replace("\n", "\n\n"))
    Path("näme [red].csv").write_text(text)
    np.save("data.npy", data_matrix())
    np.save("fortran.npy", np.asfortranarray(data_matrix()))
    expected = law_of(run, data)
    for name in os.listdir():
        assert law_of(run, name) == expected, name


def test_integers_and_single_precision_are_data(run):
    rows = np.random.default_rng(3).integers(-9, 9, (30, 3))
    np.savetxt("data.csv", rows, fmt="%d", delimiter=",")
    np.save("int8.npy", rows.astype(np.int8))
    np.save("float32.npy", rows.astype(np.float32))
    assert law_of(run, "data.csv") == law_of(run, "int8.npy") == law_of(run, "float32.npy")


def test_the_gaussian_is_the_one_with_the_moments_of_the_data(run):
    """Early-stopping error of a diagonal Gaussian, with covariances divided by n."""
    rows = np.array([[1.0, 2.0], [3.0, 8.0], [5.0, 2.0], [3.0, -4.0]])  # uncorrelated
    write("data.csv", rows)
    spread, mean, delta = rows.var(axis=0), rows.mean(axis=0), 0.25
    root = np.sqrt(spread * math.exp(-2 * delta) + 1 - math.exp(-2 * delta))
    expected = math.sqrt(((root - np.sqrt(spread)) ** 2 + (mean * (1 - math.exp(-delta))) ** 2).sum())
    found = law_of(run, "data.csv", "--early-stop", delta)["early_stop_error_w2"]
    assert found["value"] == pytest.approx(expected, rel=1e-12)  # some tens of roundings of 1e-16


def test_digits_is_the_packaged_covariance_and_a_file_needs_a_path(run, data):
    assert law_of(run, "digits") == law_of(run, "digits", "--covariance")
    shutil.copy(data, "digits")
    assert law_of(run, "digits")["dim"] == 64
    assert law_of(run, "./digits")["dim"] == 3


def test_two_rows_and_a_constant_column_have_an_answer(run):
    write("two.csv", [[1, 2], [3, 5]])
    write("constant.csv", np.column_stack([data_matrix(), np.full(60, 7.0)]))
    write("one.csv", [[4.0]])
    for arguments in (["two.csv"], ["constant.csv"]):
        assert law_of(run, *arguments)["smoothness_of_data"] == "inf"
    assert law_of(run, "one.csv", "--covariance")["dim"] == 1


# --- files that could mean something else ------------------------------------------------------------------------


def test_a_matrix_that_could_be_a_covariance_asks_which(run, covariance):
    for command in COMMANDS:
        refused(
            run(command, covariance, *QUICK, *enough(command)), "covariance.csv", "--covariance if", "else --samples"
        )
    both = [json.loads(run("law", covariance, *QUICK, flag, "--json")[1]) for flag in ("--covariance", "--samples")]
    assert both[0]["smoothness_of_data"] == pytest.approx(25)  # 1/0.04
    assert both[1]["smoothness_of_data"] == "inf"  # three rows in three dimensions


def test_a_column_of_positive_numbers_asks_whether_it_is_a_spectrum(run):
    write("column.csv", [[4.0], [0.25], [0.25]])
    write("counted.csv", [[4.0, 1], [0.25, 2]])
    refused(run("budget", "column.csv", *QUICK), "column.csv", "--spectrum if", "else --samples")
    write("diagonal.csv", np.diag([4.0, 0.25, 0.25]))
    expected = law_of(run, "diagonal.csv", "--covariance")
    assert expected["dim"] == 3
    assert law_of(run, "column.csv", "--spectrum") == expected == law_of(run, "counted.csv", "--spectrum")
    assert law_of(run, "--spectrum", "column.csv") == expected
    assert law_of(run, "column.csv", "--samples")["dim"] == 1


def test_the_shape_of_data_is_one(run, covariance):
    refused(run("law", covariance, "--covariance", "--samples"), "not allowed with")


def test_what_is_odd_about_samples_is_one_line_on_stderr(run):
    x = data_matrix()
    write("index.csv", np.column_stack([np.arange(60), x]))
    write("few.csv", x[:3])
    write("scales.csv", x * [1.0, 1.0, 1e5])
    for name, words in (
        ("index.csv", "counts the rows"),
        ("few.csv", "3 rows in dimension 3"),
        ("scales.csv", "units"),
    ):
        code, out, err = run("law", name, *QUICK, "--steps", 3)
        assert code == 0
        assert out.startswith("Target")
        assert err.count("\n") == 1
        assert name in err
        assert words in err
        assert run("law", name, *QUICK, "--steps", 3, "--quiet")[2] == ""


def test_the_early_stop_is_chosen_by_total_variation(run, covariance):
    options = [covariance, "--covariance", *QUICK]
    found = json.loads(run("budget", *options, "--early-stop-tv", "0.02", "--json")[1])
    assert found["early_stop_error_tv"]["value"] == pytest.approx(0.02, rel=1e-6)
    assert found["early_stop_within_accuracy"] is True
    assert "above the request" in run("budget", *options, "--early-stop-tv", "0.3")[1]
    write("singular.csv", np.diag([0.0, 1.0]))
    refused(run("budget", "singular.csv", "--covariance", "--early-stop-tv", "0.1"), "--early-stop-tv", "singular")


# --- options that are refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--tv", "--early-stop", "--early-stop-tv", "--horizon"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "0"])
def test_numbers_that_make_no_sense_are_refused_in_one_line(run, covariance, command, option, value):
    refused(
        run(command, covariance, "--covariance", *QUICK, f"{option}={value}", *enough(command)), f"{option}: expected"
    )


@pytest.mark.parametrize(
    "command, options",
    [
        ("budget", ["--tv", "1"]),
        ("budget", ["--tv", "1.5"]),
        ("budget", ["--early-stop", "5", "--horizon", "4"]),
        ("budget", ["--early-stop", "4", "--horizon", "4"]),
        ("budget", ["--precision", "0", "--scheme", "randomized_midpoint"]),
        ("budget", ["--precision", "1", "--scheme", "randomized_midpoint"]),
        ("budget", ["--seed", "-1", "--scheme", "randomized_midpoint"]),
        ("budget", ["--json", "--csv"]),
        ("law", ["--steps", "0"]),
        ("law", ["--steps", "-3"]),
        ("law", ["--claim-tv", "nan"]),
        ("law", ["--claim-tv", "-0.1"]),
        ("law", ["--claim-tv", "1.1"]),
        ("law", ["--claim-tv", "two"]),
        ("law", ["--horizon", "1e6"]),
        ("law", ["--early-stop", "0.1", "--early-stop-tv", "0.1"]),
        ("law", ["--steps", "1000000000"]),
        ("budget", ["--max-steps", "1000000000"]),
        ("sample", ["--steps", "1000000000", "--out", "out.npy"]),
        ("sample", ["-n", "10000000000", "--out", "out.npy"]),
        ("law", ["--precision", "nan"]),
        ("law", ["--seed", "-1"]),
        ("sample", ["--steps", "0", "--out", "out.npy"]),
        ("sample", ["-n", "0", "--out", "out.npy"]),
        ("sample", ["-n", "-2", "--out", "out.npy"]),
        ("sample", ["--seed", "-1", "--out", "out.npy"]),
        ("sample", ["--out", "out.txt"]),
        ("sample", ["--out", "out"]),
        ("sample", ["--out", "nowhere/out.npy"]),
        ("sample", ["--out", "covariance.csv/out.npy"]),
        ("sample", ["--out", "folder.npy"]),
        ("budget", [*QUICK, "--plot", "plot.gif"]),
        ("budget", [*QUICK, "--plot", "folder"]),
        ("budget", [*QUICK, "--plot", "folder.png"]),
        ("budget", [*QUICK, "--plot", "nowhere/plot.png"]),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(run, covariance, command, options):
    os.mkdir("folder")
    os.mkdir("folder.png")
    os.mkdir("folder.npy")
    before = sorted(os.listdir())
    refused(run(command, covariance, "--covariance", *options))
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("limit", ["0", "-5"])
def test_a_search_of_no_steps_is_refused_in_one_line(run, covariance, limit):
    refused(run("budget", covariance, "--covariance", *QUICK, "--max-steps", limit))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["law"],
        ["sample", "covariance.csv"],
        ["law", "covariance.csv", "--steps", "1e3"],
        ["law", "covariance.csv", "--steps", "2.5"],
        ["law", "covariance.csv", "--tv", "ten"],
        ["law", "covariance.csv", "--scheme", "leapfrog"],
        ["law", "covariance.csv", "--start", "zero"],
        ["budget", "covariance.csv", "--grid", "sine"],
        ["budget", "covariance.csv", "--fly"],
        ["budget", "covariance.csv", "other.csv"],
    ],
)
def test_what_is_no_command_is_a_usage_error_on_stderr(run, covariance, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("rmverify")
    assert "error: " in err.splitlines()[-1]
    assert "Traceback" not in err


def test_an_unstable_plan_says_so_in_one_line(run):
    """Heun asks the score at the end of its step: 10^7 times the slope that it can bear, 36 times."""
    write("singular.csv", np.diag([0.0, 1.0]))
    arguments = ["law", "singular.csv", "--covariance", *QUICK, "--early-stop", "1e-252", "--steps", "36"]
    refused(run(*arguments), "unstable", "shorter steps")


# --- nothing half-written ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["--steps", "0"], ["--tv", "nan"], ["--horizon", "1e-9"], ["-n", "0"]])
def test_a_run_that_fails_leaves_the_file_that_was_there(run, covariance, options):
    Path("out.npy").write_bytes(b"old")
    refused(run("sample", covariance, "--covariance", "--out", "out.npy", *options))
    assert Path("out.npy").read_bytes() == b"old"
    assert sorted(os.listdir()) == ["covariance.csv", "out.npy"]


@pytest.mark.parametrize("command, options", [("sample", ["--out", "out.npy"]), ("budget", ["--plot", "out.png"])])
def test_a_disk_that_fails_leaves_the_file_that_was_there(run, covariance, monkeypatch, command, options):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    old = Path(options[-1])
    old.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    code, out, err = run(command, covariance, "--covariance", *QUICK, *options)
    if command == "budget":  # the table is there
        assert "Score evaluations" in out
        out = ""
    refused((code, out, err), "No space left", options[-1])
    assert old.read_bytes() == b"old"
    assert sorted(os.listdir()) == ["covariance.csv", options[-1]]


def test_no_output_overwrites_an_input(run, data):
    before = Path(data).read_bytes()
    os.symlink(data, "link.csv")
    os.link(data, "hard.csv")
    os.mkdir("sub")
    for out in (data, "./data.csv", "sub/../data.csv", "link.csv", "hard.csv"):
        refused(run("sample", data, "--out", out), f"--out: {out!r} is a file that this command uses already")
    os.rename(data, "data.png")
    refused(run("budget", "data.png", "--plot", "data.png"), "--plot: 'data.png' is a file that this command uses")
    refused(
        run("rates", "--data", "data.png", "--store", "data.png"),
        "--store: 'data.png' is a file that this command uses",
    )
    refused(run("rates", "--plot", "a.png", "--store", "a.png"), "--store: 'a.png' is a file that this command uses")
    refused(
        run("verify", "--target", "data.png", "--html", "data.png"),
        "--html: 'data.png' is a file that this command uses",
    )
    assert Path("data.png").read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_refused_in_one_line(run, covariance):
    os.mkdir("locked", mode=0o500)
    refused(run("sample", covariance, "--covariance", "--out", "locked/out.npy"), "Permission denied")


def test_a_new_file_replaces_the_old_one_whole(run, covariance):
    Path("out.csv").write_text("x" * 10**6)
    assert run("sample", covariance, "--covariance", *QUICK, "-n", 4, "--steps", 3, "--out", "out.csv")[0] == 0
    assert np.loadtxt("out.csv", delimiter=",").shape == (4, 3)


# --- what goes where --------------------------------------------------------------------------------------------


def test_answers_go_to_stdout_and_the_remark_on_a_file_to_stderr(run, covariance):
    options = [covariance, "--covariance", *QUICK]
    for quiet in ([], ["--quiet"], ["--no-progress"]):
        for command in ("budget", "law"):
            code, out, err = run(command, *options, *quiet)
            assert (code, err) == (0, "")
            assert "\x1b" not in out
        code, out, err = run("sample", *options, "--out", "out.npy", *quiet)
        assert (code, out) == (0, "")
        assert err.count("\n") == (0 if quiet == ["--quiet"] else 1)
    assert "out.npy" in err


def test_the_setting_is_printed_before_the_table(run, covariance):
    _, out, _ = run("budget", covariance, "--covariance", *QUICK)
    _, text, _ = run("budget", covariance, "--covariance", *QUICK, "--json")
    found, lines = json.loads(text), out.splitlines()
    table = next(n for n, line in enumerate(lines) if line.startswith("Score evaluations"))
    head = "\n".join(lines[:table])
    for number in ("early_stop", "horizon", "smoothness_from_early_stop"):
        assert f"= {found[number]:.6g}" in head
    assert "covariance.csv" in head
    assert "geometric" in head
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines[table:] if line.startswith("heun ")]
    assert [row[2] for row in cells] == [str(row["evaluations_upper"]) for row in found["schemes"]]
    assert [row[1] for row in cells] == ["-", "underdamped"]


def environment(**changes: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "COLUMNS")} | changes


def command_line(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rmverify", *map(str, arguments)]


@pytest.mark.slow
def test_progress_is_shown_on_a_terminal_only_and_can_be_switched_off(covariance):
    shown = {}
    for switch in ("", "--no-progress", "--quiet"):
        ours, theirs = pty.openpty()
        arguments = ["law" if switch else "budget", covariance, "--covariance", *QUICK, *([switch] if switch else [])]
        done = subprocess.run(
            command_line(*arguments), stdout=subprocess.PIPE, stderr=theirs, env=environment(TERM="xterm")
        )
        os.close(theirs)
        os.set_blocking(ours, False)
        try:
            shown[switch] = os.read(ours, 1 << 16)
        except OSError:  # nothing was written
            shown[switch] = b""
        os.close(ours)
        assert done.returncode == 0
        assert b"\x1b" not in done.stdout
    assert b"heun" in shown[""] or b"starting" in shown[""]
    assert shown["--no-progress"] == shown["--quiet"] == b""


@pytest.mark.slow
def test_no_number_is_cut_on_a_narrow_terminal(covariance):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    arguments = ["budget", covariance, "--covariance", "--tv", "0.02", "--scheme", "randomized_midpoint", "--quiet"]
    subprocess.run(command_line(*arguments), stdout=theirs, env=environment(TERM="xterm"), check=True)
    os.close(theirs)
    os.set_blocking(ours, False)
    text = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "randomized" in text
    assert "…" not in text


@pytest.mark.slow
def test_nothing_is_cut_in_a_file(run, covariance):
    _, out, _ = run(
        "budget", covariance, "--covariance", "--scheme", "randomized_midpoint", "--tv", "0.02", "--seed", 0
    )
    assert "…" not in out
    for name in ("randomized_midpoint", "underdamped", "discretization", "rounds"):
        assert name in out


def test_whole_curves_are_printed_on_request(run, covariance):
    options = ["budget", covariance, "--covariance", *QUICK]
    found = json.loads(run(*options, "--json")[1])
    short, whole = (run(*options, *more)[1] for more in ([], ["--curves"]))
    assert whole.startswith(short)
    points = [point for row in found["schemes"] for point in row["curve"]]
    assert len(whole.splitlines()) - len(short.splitlines()) >= len(points)


# --- real processes ---------------------------------------------------------------------------------------------


def test_help_is_quick_to_load_and_lists_the_exit_codes():
    script = """
import sys
from rmverify.cli import main
for arguments in (["--help"], ["budget", "--help"], ["law", "--help"], ["sample", "--help"], ["--version"], ["law"]):
    main(arguments)
heavy = {"flint", "matplotlib", "mpmath", "numpy", "rich", "scipy", "sympy"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    for line in ("0  verified", "1  refuted", "2  usage", "3  inconclusive", "4  internal"):
        assert done.stdout.count(line) == 4
    for name in (*COMMANDS, "--tv", "--early-stop", "--horizon", "--claim-tv", "--out", "--plot"):
        assert name in done.stdout
    assert " ".join(done.stdout.split()).count("(default: 0.1)") == 3  # of --tv, in each command that has it


@pytest.mark.slow
def test_the_module_and_the_script_are_the_same_program(covariance):
    script = Path(sysconfig.get_path("scripts"), "rmverify")
    if not script.exists():
        pytest.skip("the package is not installed")
    arguments = ["law", covariance, "--covariance", *QUICK, "--json"]
    answers = [
        subprocess.run(command, capture_output=True, text=True, env=environment())
        for command in ([str(script), *arguments], command_line(*arguments))
    ]
    assert {answer.returncode for answer in answers} == {0}
    assert {answer.stderr for answer in answers} == {""}
    assert answers[0].stdout == answers[1].stdout


@pytest.mark.slow
def test_exit_codes_leave_the_process(covariance):
    options = [covariance, "--covariance", *QUICK]
    claim = ["law", *options, "--steps", "2", "--claim-tv"]
    cases = [([*claim, "1"], 0), ([*claim, "0"], 1), (["law", "nothing.csv"], 2)]
    for arguments, code in cases:
        assert subprocess.run(command_line(*arguments), capture_output=True, env=environment()).returncode == code


@pytest.mark.slow
def test_json_can_be_piped_into_another_program(covariance):
    arguments = command_line("budget", covariance, "--covariance", *QUICK, "--json")
    producer = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment())
    reader = subprocess.run([sys.executable, "-m", "json.tool"], stdin=producer.stdout, capture_output=True, text=True)
    producer.stdout.close()
    assert (producer.wait(), reader.returncode) == (0, 0)
    assert json.loads(reader.stdout)["command"] == "budget"


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        "table",
        "--json",
        "--csv",
    ],
)
def test_a_closed_pipe_is_no_verdict_and_no_traceback(covariance, form):
    arguments = command_line("budget", covariance, "--covariance", *QUICK, *([] if form == "table" else [form]))
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    process.stdout.close()  # long before the first line is written
    err = process.stderr.read().decode()
    process.stderr.close()
    code = process.wait()
    assert code not in (1, 3, 4)
    assert "Error" not in err


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_plain_tables(covariance):
    arguments = command_line("law", covariance, "--covariance", *QUICK)
    done = subprocess.run(arguments, capture_output=True, env=environment(PYTHONIOENCODING="ascii"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"TV" in done.stdout.decode("ascii").encode()


# --- JSON, CSV, pictures ----------------------------------------------------------------------------------------

VALUE = {"value", "kind", "lower", "upper", "error", "complement"}
SETTING = {
    "data",
    "dim",
    "early_stop",
    "early_stop_error_w2",
    "early_stop_error_tv",
    "horizon",
    "start_error_tv",
    "grid",
    "smoothness_from_early_stop",
    "smoothness_of_data",
}
HEAD = {"schema", "rmverify", "command"}


def strict(text: str) -> dict:
    """JSON without NaN or Infinity, which are no JSON."""

    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.slow
def test_the_json_of_a_budget(run, data):
    from rmverify import __version__

    code, out, _ = run("budget", data, *QUICK, "--scheme", "randomized_midpoint", "--tv", "0.3", "--json")
    found = strict(out)
    assert code == 0
    assert set(found) == HEAD | SETTING | {
        "accuracy",
        "precision",
        "metric",
        "schemes",
        "seed",
        "early_stop_within_accuracy",
    }
    assert (found["schema"], found["rmverify"], found["command"]) == (3, __version__, "budget")
    assert (found["data"], found["dim"], found["accuracy"], found["metric"]) == ("data.csv", 3, 0.3, "tv")
    assert set(found["start_error_tv"]) == set(found["early_stop_error_w2"]) == VALUE
    names = [(row["scheme"], row["corrector"], row["law"]) for row in found["schemes"]]
    assert names == [
        ("heun", None, "exact"),
        ("randomized_midpoint", None, "monte-carlo"),
        ("heun", "underdamped", "exact"),
        ("randomized_midpoint", "underdamped", "monte-carlo"),
    ]
    for row in found["schemes"]:
        assert row["evaluations_lower"] <= row["evaluations_upper"] == row["at_upper"]["evaluations"]
        assert set(row["at_upper"]) == {"steps", "evaluations", "rounds", "tv"}
        assert row["at_upper"] in row["curve"]
        assert row["at_upper"]["tv"]["upper"] <= 0.3
        steps = [point["steps"] for point in row["curve"]]
        assert steps == sorted(set(steps))
        for point in row["curve"]:
            assert set(point["tv"]) == VALUE
            assert 0 <= point["tv"]["lower"] <= point["tv"]["value"] <= point["tv"]["upper"]
        if row["law"] == "exact":
            assert row["evaluations_lower"] == row["evaluations_upper"]


def test_the_json_of_a_law(run, data):
    code, out, _ = run("law", data, *QUICK, "--steps", 5, "--corrector", "--start", "exact", "--json")
    found = strict(out)
    assert code == 0
    rest = {"scheme", "corrector", "steps", "evaluations", "rounds", "start", "law", "rounding", "divergences"}
    assert set(found) == HEAD | SETTING | rest | {"discretization_tv", "expected_tv", "claim", "seed"}
    assert found["seed"] is None  # nothing is drawn
    assert (found["scheme"], found["corrector"], found["steps"], found["start"]) == ("heun", "underdamped", 5, "exact")
    assert found["evaluations"] == found["rounds"] == 15  # two for a step of Heun, one for one of the corrector
    assert set(found["divergences"]) == {"tv", "kl", "kl_reverse", "chi2", "hellinger", "w2"}
    assert all(set(value) == VALUE for value in found["divergences"].values())
    assert found["discretization_tv"] == found["divergences"]["tv"]  # started from q_T, nothing else is left
    assert found["claim"] is None


def test_infinite_numbers_are_strings_in_json(run):
    write("singular.csv", np.diag([0.0, 1.0]))
    _, out, _ = run("law", "singular.csv", "--covariance", "--scheme", "euler", "--steps", 2, "--json")
    assert strict(out)["smoothness_of_data"] == "inf"


def test_levels_and_grid_are_those_asked_for(run, covariance):
    options = [covariance, "--covariance", *QUICK, "--early-stop", 0.125, "--horizon", 2.5, "--steps", 4, "--json"]
    geometric, uniform = (strict(run("law", *options, "--grid", grid)[1]) for grid in ("geometric", "uniform"))
    for found, grid in ((geometric, "geometric"), (uniform, "uniform")):
        assert (found["early_stop"], found["horizon"], found["grid"]) == (0.125, 2.5, grid)
    assert geometric["divergences"]["tv"] != uniform["divergences"]["tv"]


@pytest.mark.slow
def test_csv_is_the_curves_of_the_json(run, data):
    options = ["budget", data, *QUICK, "--scheme", "randomized_midpoint", "--tv", "0.3", "--seed", 0]
    found = strict(run(*options, "--json")[1])
    rows = list(csv.DictReader(io.StringIO(run(*options, "--csv")[1])))
    expected = [(row, point) for row in found["schemes"] for point in row["curve"]]
    assert len(rows) == len(expected) > 8
    for line, (row, point) in zip(rows, expected, strict=True):
        assert (line["scheme"], line["corrector"], line["law"]) == (row["scheme"], row["corrector"] or "", row["law"])
        assert [int(line[name]) for name in ("steps", "evaluations", "rounds")] == [
            point[name] for name in ("steps", "evaluations", "rounds")
        ]
        tv = point["tv"]
        assert [float(line[name]) for name in ("tv", "tv_lower", "tv_upper", "tv_error")] == [
            tv[name] for name in ("value", "lower", "upper", "error")
        ]
        ends = {name for name in ("lower", "upper") if point["evaluations"] == row[f"evaluations_{name}"]}
        assert set(filter(None, line["answer"].split("+"))) == ends


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_a_plot_is_a_picture_of_its_kind(run, covariance, suffix):
    image = pytest.importorskip("matplotlib.image")
    options = ["budget", covariance, "--covariance", *QUICK, "--scheme", "euler"]
    code, out, err = run(*options, "--plot", f"plot.{suffix}")
    assert (code, err) == (0, "")
    assert out == run(*options)[1]  # further points of the curves change no answer
    content = Path(f"plot.{suffix}").read_bytes()
    if suffix == "svg":
        shapes = [e for e in ElementTree.fromstring(content).iter() if e.tag.endswith("path")]
        assert len(shapes) > 50  # curves, ticks and letters
    elif suffix == "pdf":
        assert content.startswith(b"%PDF-")
        assert content.rstrip().endswith(b"%%EOF")
    else:
        pixels = image.imread(io.BytesIO(content), format="png")
        assert min(pixels.shape[:2]) > 400
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20


def test_a_plot_without_its_library_is_a_usage_error(run, covariance, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused(run("budget", covariance, "--covariance", *QUICK, "--plot", "plot.png"), "matplotlib")
    assert os.listdir() == ["covariance.csv"]


# --- seeds ------------------------------------------------------------------------------------------------------


def test_a_seed_fixes_the_samples(run, data):
    def drawn(seed, name):
        assert run("sample", data, "-n", 20, "--steps", 5, "--seed", seed, "--out", name)[0] == 0
        return np.load(name)

    first, again, other = drawn(3, "a.npy"), drawn(3, "b.npy"), drawn(4, "c.npy")
    assert (first == again).all()
    assert (first != other).all()


@pytest.mark.slow
def test_a_seed_that_nobody_gave_is_drawn_and_told(run, data):
    def told(*arguments):
        err = run(*arguments)[2]
        return int(re.search(r"seed (\d+)", err)[1])

    samples = ["sample", data, "-n", 20, "--steps", 5, "--out"]
    seed, other = told(*samples, "a.npy"), told(*samples, "b.npy")
    assert seed != other
    assert (np.load("a.npy") != np.load("b.npy")).any()
    run(*samples, "c.npy", "--seed", seed)
    assert (np.load("a.npy") == np.load("c.npy")).all()
    law = ["law", data, "--steps", 40, "--precision", 0.3]
    seed = told(*law)
    _, out, err = run(*law, "--seed", seed)
    assert f" {seed} " in out
    assert err == run(*law, "--quiet")[2] == ""
    _, out, err = run(*law, "--json")
    assert strict(out)["seed"] == int(re.search(r"seed (\d+)", err)[1])
    assert run(*law, "--scheme", "heun")[2] == ""  # draws nothing


@pytest.mark.slow
def test_a_seed_fixes_the_intervals(run, data):
    def found(seed):
        law = strict(run("law", data, "--steps", 40, "--precision", 0.3, "--seed", seed, "--json")[1])
        return law["divergences"], law["expected_tv"]

    first = found(1)
    assert first == found(1)
    assert first[0]["tv"] != found(2)[0]["tv"]


# --- verdicts ---------------------------------------------------------------------------------------------------


def heun_variance(lam: float, levels: np.ndarray) -> float:
    """The variance of one zero-mean mode after the steps of Heun from N(0, 1)."""
    return math.prod(heun(1.0, t, t - s, score_of(lam)) for t, s in itertools.pairwise(levels)) ** 2


def test_claims_are_verified_or_refuted(run):
    lam, dim, delta, horizon, steps = 0.25, 5, 0.125, 2.5, 4
    write("isotropic.csv", lam * np.eye(dim))
    variance = heun_variance(lam, np.geomspace(horizon, delta, steps + 1))
    goal = noised(lam, delta)
    truth = float(isotropic_tv(variance, goal, dim))
    assert 0.01 < truth < 0.9
    options = ["isotropic.csv", "--covariance", *QUICK, "--early-stop", delta, "--horizon", horizon, "--steps", steps]
    for claim, verdict, code in ((truth * (1 + 1e-9), "verified", 0), (truth * (1 - 1e-9), "refuted", 1)):
        found = run("law", *options, "--claim-tv", repr(claim), "--json")
        assert found[0] == code
        assert strict(found[1])["claim"] == {"tv": claim, "verdict": verdict}
        assert strict(found[1])["divergences"]["tv"]["value"] == pytest.approx(truth, rel=1e-10)
        code_again, out, err = run("law", *options, "--claim-tv", repr(claim))
        assert (code_again, err) == (code, "")
        assert out.rstrip().endswith(verdict)


@pytest.mark.slow
def test_a_claim_inside_the_interval_is_inconclusive(run, data):
    options = ["law", data, "--steps", 40, "--json", "--seed", 0, "--precision", 0.3]
    tv = strict(run(*options)[1])["divergences"]["tv"]
    assert tv["lower"] < tv["upper"]
    for claim, code in (((tv["lower"] + tv["upper"]) / 2, 3), (tv["upper"], 0)):
        assert run(*options, "--claim-tv", repr(claim))[0] == code
    assert tv["lower"] > 0
    assert run(*options, "--claim-tv", repr(tv["lower"] * 0.99))[0] == 1


@pytest.mark.slow
def test_a_parallel_scheme_has_the_rounds_that_it_says(run, data):
    found = strict(run("law", data, "--steps", 3, "--scheme", "parallel_midpoint", "--precision", 0.1, "--json")[1])
    assert (found["scheme"], found["evaluations"], found["rounds"]) == ("parallel_midpoint", 3 * 13, 3 * 4)
    assert found["divergences"]["tv"]["lower"] < found["expected_tv"]["upper"]


def test_a_search_that_reaches_its_limit_is_inconclusive(run, covariance):
    options = ["budget", covariance, "--covariance", "--scheme", "euler", "--tv", "1e-3", "--max-steps", 16]
    code, out, err = run(*options)
    assert (code, err) == (3, "")
    assert "> 16" in out
    code, out, _ = run(*options, "--json")
    assert code == 3
    assert {row["evaluations_upper"] for row in strict(out)["schemes"]} == {None}


def test_what_nobody_foresaw_is_an_internal_error_in_one_line(run, covariance, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("rmverify.studies.budget.describe", fail)
    code, out, err = run("law", covariance, "--covariance")
    assert (code, out) == (4, "")
    assert err.startswith("rmverify: internal error: RuntimeError: two lines; please report")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("error: expected a number >= 0, got nan"),
        np.linalg.LinAlgError("SVD did not converge"),
        ValueError("cannot convert float NaN to integer"),
        OverflowError("math range error"),
        ZeroDivisionError("float division by zero"),
        TypeError("unsupported operand"),
        MemoryError("too much"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_arithmetic_does_not_bear_is_no_usage_error(run, covariance, monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("rmverify.studies.budget.describe", fail)
    code, out, err = run("law", covariance, "--covariance", *QUICK)
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert str(error) in err
    assert "report" in err


def test_claims_that_are_not_implied_do_not_hold(run):
    assert run("exponents", "d1")[0] == 1
    assert run("exponents", "d5")[0] == 0
    assert run("verify", "D1", "--kind", "symbolic", "--workers", 1)[0] == 1


def test_an_interrupt_is_no_verdict(run, covariance, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("rmverify.studies.budget.describe", stop)
    code, out, err = run("law", covariance, "--covariance")
    assert code not in range(5)
    assert (out, err.count("\n")) == ("", 1)


# --- samples ----------------------------------------------------------------------------------------------------


def test_samples_are_written_as_npy_and_as_csv(run, covariance):
    for name in ("out.npy", "out.csv"):
        options = ["--covariance", "-n", 7, "--steps", 3, "--seed", 5, "--out", name]
        assert run("sample", covariance, *options)[0] == 0
    x = np.load("out.npy", allow_pickle=False)
    assert (x.shape, x.dtype) == ((7, 3), np.float64)
    assert (np.loadtxt("out.csv", delimiter=",") == x).all()  # every digit


def test_samples_of_single_precision_are_the_same_ones(run, covariance):
    for dtype in ("float64", "float32"):
        for name in (f"{dtype}.npy", f"{dtype}.csv"):
            options = ["--covariance", "-n", 7, "--steps", 3, "--seed", 5, "--dtype", dtype, "--out", name]
            assert run("sample", covariance, *options)[0] == 0
    x, single = np.load("float64.npy"), np.load("float32.npy")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, x, rtol=0, atol=1000 * 2.0**-24 * np.abs(x).max())
    assert (np.loadtxt("float32.csv", delimiter=",", dtype=np.float32) == single).all()


def test_backends_and_devices_that_are_not_there_are_refused(run, covariance, monkeypatch):
    options = ["sample", covariance, "--covariance", "--out", "out.npy"]
    refused(run(*options, "--device", "cuda:0"), "--device: expected cpu, where all arrays of NumPy are, got cuda:0")
    monkeypatch.setitem(sys.modules, "torch", None)
    refused(run(*options, "--backend", "torch"), "--backend: torch is not installed; pip install 'rmverify[torch]'")
    refused(run(*options, "--backend", "pandas"), "invalid choice: 'pandas'")


def test_samples_are_kept_as_they_come_and_a_stopped_run_is_continued(run, covariance, monkeypatch):
    from rmverify.readings import particles, tiles

    monkeypatch.setattr(particles, "_TASK", 3 * 20)
    monkeypatch.setattr(particles, "_TILE", 3 * 20)
    options = ["sample", covariance, "--covariance", "-n", 101, "--steps", 3, "--seed", 5]
    assert run(*options, "--out", "out.npy")[0] == 0
    keep, kept = tiles.Store.keep, []

    def interrupted(store, tile, values):
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(tile)
        keep(store, tile, values)

    monkeypatch.setattr(tiles.Store, "keep", interrupted)
    assert run(*options, "--store", "store") == (130, "", "rmverify: interrupted\n")
    assert sorted(os.listdir("store")) == ["samples.part", "tiles.jsonl"]
    monkeypatch.setattr(tiles.Store, "keep", lambda *tile: (kept.append(tile[1]), keep(*tile)))
    code, out, err = run(*options, "--store", "store", "--workers", 1)
    assert (code, out) == (0, "")
    assert err.endswith(f"seed 5: {os.path.join('store', 'samples.npy')}\n")
    assert sorted(kept) == [(first, min(20, 101 - first)) for first in range(0, 101, 20)]
    assert (np.load("store/samples.npy") == np.load("out.npy")).all()
    refused(run(*options, "--store", "store", "--dtype", "float32"), "--store: expected dtype 'float32', got 'float64'")
    refused(run(*options, "--store", "store", "--scheme", "heun"), "--store: expected plan 'Plan([Predict(heun")
    refused(run(*options[:-1], 6, "--store", "store"), "--store: expected seed [")
    refused(run(*options[:-2], "--store", "other"), "--store: needs --seed")
    refused(run(*options, "--store", "nowhere/store"), "--store: expected a folder that can be made")
    refused(run(*options, "--store", "store", "--out", "out.npy"), "not allowed with")
    refused(run(*options, "--out", "new.npy", "--workers", 2, "--dask", "x:1"), "not allowed with")
    refused(run(*options, "--out", "new.npy", "--dask", "nowhere"), "--dask: expected the address of a running")
    refused(run(*options), "--out --store is required")
    assert not os.path.exists("other")


@pytest.mark.slow
def test_processes_draw_the_same_samples(run, covariance):
    options = ["sample", covariance, "--covariance", "-n", 101, "--steps", 3, "--seed", 5]
    for workers, dtype in ((1, "float64"), (2, "float64"), (2, "float32")):
        out = ["--workers", workers, "--dtype", dtype, "--out", f"{workers} {dtype}.npy"]
        assert run(*options, *out)[0] == 0
    assert (np.load("2 float64.npy") == np.load("1 float64.npy")).all()
    assert np.load("2 float32.npy").dtype == np.float32


def test_workers_that_are_gone_are_said(run, covariance, monkeypatch):
    from rmverify.readings import tiles
    from rmverify.tasks import Gone

    def gone(*arguments):
        raise Gone("the workers are gone (BrokenProcessPool)")

    monkeypatch.setattr(tiles, "gathered", gone)
    options = ["sample", covariance, "--covariance", "--steps", 3, "--seed", 5]
    why = "rmverify: the workers are gone (BrokenProcessPool)"
    assert run(*options, "--workers", 2, "--out", "out.npy") == (4, "", f"{why}\n")
    more = "; what was computed is in the store: the same command continues it"
    assert run(*options, "--store", "store") == (4, "", f"{why}{more}\n")


def euler_moments(mean, lam, levels) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of every mode after the steps of Euler from N(0, 1), by the textbook."""
    m, v = np.zeros_like(lam), np.ones_like(lam)
    for t, s in itertools.pairwise(levels):
        h, spread = t - s, lam * math.exp(-2 * t) + 1 - math.exp(-2 * t)
        factor = 1 + h * (1 - 1 / spread)
        m, v = factor * m + h * math.exp(-t) * mean / spread, factor**2 * v
    return m, v


def test_samples_have_the_moments_of_the_exact_law(run):
    """Of the Gaussian fitted to correlated data: whitened, both statistics are chi-square."""
    rows, n = data_matrix(), 20_000
    write("data.csv", rows)
    lam, basis = np.linalg.eigh(np.cov(rows.T, bias=True))
    mean, variance = euler_moments(rows.mean(axis=0) @ basis, lam, np.geomspace(2.0, 0.1, 7))
    levels = ["--horizon", 2.0, "--early-stop", 0.1, "--steps", 6]
    assert run("sample", "data.csv", "--scheme", "euler", *levels, "-n", n, "--out", "out.npy")[0] == 0
    z = (np.load("out.npy") @ basis - mean) / np.sqrt(variance)
    sums = z.sum(axis=0) @ z.sum(axis=0) / n
    assert chi2.sf(sums, 3) > 1e-6
    squares = (z**2).sum()
    assert min(chi2.sf(squares, 3 * n), chi2.cdf(squares, 3 * n)) > 1e-6
    cross = z.T @ z / math.sqrt(n)
    assert chi2.sf(cross[0, 1] ** 2 + cross[0, 2] ** 2 + cross[1, 2] ** 2, 3) > 1e-6
