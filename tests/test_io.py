"""Matrix files: what is read, what is refused and in which words, what is written."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rmverify.io import (
    BUILT_IN,
    TOLERANCE,
    ambiguity,
    atomic_write,
    read_covariance,
    read_data,
    read_spectrum,
    remarks,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
MATRICES = hnp.arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=FINITE)


def csv_text(rows) -> str:
    return "".join(",".join(repr(float(entry)) for entry in row) + "\n" for row in rows)


def complaint(read, path) -> str:
    """The message of the ValueError that reading raises: one line that names the file."""
    with pytest.raises(
        ValueError, match="(expected .* found )|(no such file; expected )|(cannot be written: )"
    ) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{os.fspath(path)!r}: ")
    return message


@pytest.fixture
def csv_file(tmp_path):
    def make(content: str | bytes) -> Path:
        path = tmp_path / "matrix.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.fixture
def npy_file(tmp_path):
    def make(array, **options) -> Path:
        path = tmp_path / "matrix.npy"
        np.save(path, array, **options)
        return path

    return make


# ------------------------------------------------------------------- data that can be read


@given(values=MATRICES, header=st.booleans())
@example(values=np.array([[5e-324], [-1.7976931348623157e308]]), header=False)
@example(values=np.array([[-0.0, 0.1], [1 / 3, 2**53 + 2]]), header=True)
def test_csv_round_trip(tmp_path_factory, values, header):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    names = ",".join(f"x{k}" for k in range(values.shape[1])) + "\n"
    path.write_text(names * header + csv_text(values))
    back = read_data(path)
    assert back.dtype == np.float64
    assert back.shape == values.shape
    assert back.tobytes() == values.tobytes()


@given(values=MATRICES, fortran=st.booleans())
def test_npy_round_trip(tmp_path_factory, values, fortran):
    path = tmp_path_factory.mktemp("npy") / "x.npy"
    np.save(path, np.asfortranarray(values) if fortran else values)
    back = read_data(path)
    assert back.flags.c_contiguous
    assert back.flags.writeable
    assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i4", ">i4", "i8", "u8", "f2", "<f4", ">f4", ">f8", "longdouble"])
def test_npy_of_every_real_dtype(npy_file, dtype):
    back = read_data(npy_file(np.array([[1, 2], [3, 4]], dtype=dtype)))
    assert back.dtype == np.float64
    assert back.dtype.isnative
    assert back.tolist() == [[1, 2], [3, 4]]


def test_npy_is_recognized_by_content(tmp_path):
    path = tmp_path / "matrix.dat"
    with path.open("wb") as file:
        np.save(file, np.eye(2))
    assert read_data(path).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4\n",
        "1,2\n3,4",  # no end of line
        "1,2\r\n3,4\r\n",
        "1,2\r3,4\r",
        "\ufeff1,2\n3,4\n",  # byte order mark
        "\ufeffheight,width\n1,2\n3,4\n",
        "\n\n1,2\n   \n\n3,4\n\n",
        " 1 , 2\n3,\t4 \n",
        "height,width\n1,2\n3,4\n",
        '"height, m","width"\n1,2\n3,4\n',
        "# α,β\n1,2\n3,4\n",
        ",b\n1,2\n3,4\n",
        "1e0,+2\n3.,4.00\n",
    ],
)
def test_csv_dialects(csv_file, text):
    assert read_data(csv_file(text)).tolist() == [[1, 2], [3, 4]]


def test_paths_of_both_types(csv_file):
    path = csv_file("1,2\n3,4\n")
    assert (read_data(path) == read_data(str(path))).all()


def test_one_column(csv_file):
    assert read_data(csv_file("1\n2\n3\n")).shape == (3, 1)


def test_name_that_looks_compressed(tmp_path):
    path = tmp_path / "plain.gz"
    path.write_text("1,2\n3,4\n")
    assert read_data(path).shape == (2, 2)


# ------------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize("read", [read_data, read_covariance])
class TestUnreadable:
    def test_missing(self, read, tmp_path):
        assert ": no such file; " in complaint(read, tmp_path / "none.csv")

    def test_missing_says_what_is_built_in(self, read, tmp_path):
        assert "'digits'" in complaint(read, tmp_path / "digit")

    def test_name_with_a_line_break(self, read, tmp_path):
        assert ": no such file; " in complaint(read, str(tmp_path / "two\nlines.csv"))

    @pytest.mark.parametrize("name", ["nul\0byte", "x" * 5000])
    def test_impossible_name(self, read, name):
        assert "expected a CSV or NPY file" in complaint(read, name)

    def test_folder(self, read, tmp_path):
        assert "found a folder" in complaint(read, tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_pipe(self, read, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file" in complaint(read, tmp_path / "pipe")

    def test_no_permission(self, read, csv_file, monkeypatch):
        path = csv_file("1,2\n3,4\n")

        def refuse(*args, **options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
        assert "found Permission denied" in complaint(read, path)

    def test_empty(self, read, csv_file):
        assert "found an empty file" in complaint(read, csv_file(""))

    @pytest.mark.parametrize("text", ["\n", " \n\n\t\n", "\ufeff\n"])
    def test_blank(self, read, csv_file, text):
        assert "found blank lines only" in complaint(read, csv_file(text))

    @pytest.mark.parametrize("text", ["height,width\n", "\nheight,width", "height,width\n\n\n"])
    def test_header_only(self, read, csv_file, text):
        assert "found a header line only" in complaint(read, csv_file(text))

    @pytest.mark.parametrize(
        ("text", "line", "column", "found"),
        [
            ("1,2\n3,abc\n", 2, 2, "'abc'"),
            ("1,abc\n3,4\n", 1, 2, "'abc'"),
            ("a,b\n1,2\n3,NA\n", 3, 2, "'NA'"),
            ("a,b\n\n\n1,2\nx,4\n", 5, 1, "'x'"),
            ("a,b\nc,d\n1,2\n", 2, 1, "'c'"),
            ("id,2020\n1,2\n", 1, 1, "'id'"),
            ("1,2\n3,\n", 2, 2, "an empty field"),
            ("1,2,\n3,4,\n", 1, 3, "an empty field"),
            (",\n1,2\n", 1, 1, "an empty field"),
            ("1;2\n3;4\n", 2, 1, "'3;4'"),  # the first line passes for a header
            ("1 2\n3 4\n", 2, 1, "'3 4'"),
            ("1,2\n3,1+2j\n", 2, 2, "'1+2j'"),
            ("1,2\n3,1_0\n", 2, 2, "'1_0'"),
            ("1,2\n3,0x1p3\n", 2, 2, "'0x1p3'"),
            ("1,2\n3,True\n", 2, 2, "'True'"),
            ("1,2\n3,4 # four\n", 2, 2, "'4 # four'"),
            ("1,2\n3," + "y" * 99 + "\n", 2, 2, "'" + "y" * 40 + "…'"),
        ],
    )
    def test_not_a_number(self, read, csv_file, text, line, column, found):
        message = complaint(read, csv_file(text))
        assert f"expected a number in line {line}, column {column} (" in message
        assert message.endswith(f"found {found}")

    @pytest.mark.parametrize(
        ("text", "line", "width", "found"),
        [("1,2\n3\n", 2, 2, 1), ("1,2\n3,4,5\n", 2, 2, 3), ("a,b\n1,2\n\n3,4\n5\n", 5, 2, 1), ("1\n2,3\n", 2, 1, 2)],
    )
    def test_ragged(self, read, csv_file, text, line, width, found):
        message = complaint(read, csv_file(text))
        assert f"expected {width} columns in line {line}," in message
        assert message.endswith(f"found {found}")

    @pytest.mark.parametrize(
        ("text", "found"),
        [("nan", "nan"), ("NaN", "nan"), ("inf", "inf"), ("-Infinity", "-inf"), ("1e999", "inf"), ("-1e999", "-inf")],
    )
    def test_not_finite(self, read, csv_file, text, found):
        message = complaint(read, csv_file(f"a,b\n1,2\n3,{text}\n"))
        assert message.endswith(f"expected a finite number in row 2, column 2, found {found}")

    def test_not_finite_in_npy(self, read, npy_file):
        message = complaint(read, npy_file([[1.0, np.nan], [np.inf, 1.0]]))
        assert message.endswith("expected a finite number in row 1, column 2, found nan")

    @pytest.mark.skipif(np.dtype("longdouble") == np.dtype("float64"), reason="long double: is float64 here")
    def test_long_double_beyond_float64(self, read, npy_file):
        big = np.array([[1, 1], [1, np.finfo(np.longdouble).max]], dtype=np.longdouble)
        assert "row 2, column 2, found inf" in complaint(read, npy_file(big))

    @pytest.mark.parametrize(
        "content",
        [
            b"\x1f\x8b\x08\x00gzip",
            b"1,2\n3,\xe9\n",  # Latin-1
            "1,2\n3,4\n".encode("utf-16"),
            b"1,2\n" * 50_000 + b"\xff",  # far beyond the first block
        ],
    )
    def test_not_utf8(self, read, csv_file, content):
        assert "found bytes that are neither" in complaint(read, csv_file(content))

    def test_npz(self, read, tmp_path):
        np.savez(tmp_path / "x.npz", np.eye(2))
        complaint(read, tmp_path / "x.npz")

    @pytest.mark.parametrize("size", [6, 7, 9, 64, 128, 150])
    def test_npy_cut_short(self, read, tmp_path, size):
        buffer = io.BytesIO()
        np.save(buffer, np.eye(4))
        path = tmp_path / "short.npy"
        path.write_bytes(buffer.getvalue()[:size])
        assert "expected an NPY file of numbers" in complaint(read, path)

    def test_npy_that_promises_too_much(self, read, tmp_path):
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)}
        path = tmp_path / "huge.npy"
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
        assert "expected an NPY file of numbers" in complaint(read, path)

    def test_npy_of_objects_is_not_unpickled(self, read, npy_file):
        class Trap:
            def __reduce__(self):
                return pytest.fail, ("unpickled",)

        message = complaint(read, npy_file(np.array([[Trap()]], dtype=object), allow_pickle=True))
        assert "Object arrays" in message

    @pytest.mark.parametrize("dtype", ["c16", "bool", "U3", "S3", "M8[s]", "m8[s]", [("x", "f8")]])
    def test_npy_of_other_things(self, read, npy_file, dtype):
        message = complaint(read, npy_file(np.zeros((2, 2), dtype=dtype)))
        assert message.endswith(f"expected integers or floating-point numbers, found dtype {np.dtype(dtype)}")

    @pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2), (1, 2, 2), (0, 3), (3, 0), (0, 0)])
    def test_npy_of_other_shapes(self, read, npy_file, shape):
        message = complaint(read, npy_file(np.zeros(shape)))
        assert message.endswith(f"expected a two-dimensional array that is not empty, found shape {shape}")


@pytest.mark.parametrize("text", ["1,2\n", "a,b\n1,2\n", "5"])
def test_one_row_of_data(csv_file, text):
    assert complaint(read_data, csv_file(text)).endswith("expected at least two rows of data, found one row")


# ------------------------------------------------------------------- covariances


@st.composite
def gram_matrices(draw) -> np.ndarray:
    factor = draw(hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(-9, 9)))
    factor[0, 0] = 1  # not all zero
    return factor @ factor.T * 10.0 ** draw(st.integers(-300, 290))


@given(matrix=gram_matrices())
def test_semidefinite_matrices_come_back_unchanged(tmp_path_factory, matrix):
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    path = tmp_path_factory.mktemp("cov") / "c.csv"
    path.write_text(csv_text(matrix))
    assert read_covariance(path).tolist() == matrix.tolist()


@given(matrix=gram_matrices(), shift=st.floats(1e-6, 1))
def test_indefinite_matrices_are_refused(tmp_path_factory, matrix, shift):
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    scale = np.abs(matrix).max()
    path = tmp_path_factory.mktemp("cov") / "c.npy"
    dim = len(matrix)
    bad = np.zeros((dim + 1, dim + 1))
    bad[:dim, :dim] = matrix
    bad[dim, dim] = -shift * dim * scale
    np.save(path, bad)
    assert "expected a positive semidefinite covariance" in complaint(read_covariance, path)


@pytest.mark.parametrize("value", ["2.5", "5e-324", "1.7976931348623157e308"])
def test_one_dimension(csv_file, value):
    assert read_covariance(csv_file(value)).tolist() == [[float(value)]]


def test_largest_and_smallest_numbers(npy_file):
    matrix = np.diag([1.7e308, 5e-324, 0.0])
    assert read_covariance(npy_file(matrix)).tolist() == matrix.tolist()


def test_header_of_a_covariance(csv_file):
    assert read_covariance(csv_file("a,b\n2,1\n1,2\n")).tolist() == [[2, 1], [1, 2]]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 2), (2, 1)])
def test_not_square(npy_file, shape):
    message = complaint(read_covariance, npy_file(np.ones(shape)))
    assert message.endswith(f"expected a square covariance, found {shape[0]} rows and {shape[1]} columns")


def test_not_symmetric(csv_file):
    message = complaint(read_covariance, csv_file("2,1,0\n1,2,0.25\n0,0.5,2\n"))
    assert "symmetric covariance (to 1e-10 of its largest entry)" in message
    assert message.endswith("found 0.25 in row 2, column 3, but 0.5 in row 3, column 2")


def test_opposite_extremes_are_not_symmetric(npy_file):
    assert "symmetric" in complaint(read_covariance, npy_file(np.array([[1, 1.7e308], [-1.7e308, 1]])))


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_symmetric_to_within_the_tolerance(npy_file, scale):
    near, far = 0.9 * TOLERANCE, 1.1 * TOLERANCE
    back = read_covariance(npy_file(scale * np.array([[1, near], [0, 1]])))
    assert (back == back.T).all()
    assert back[0, 1] == pytest.approx(scale * near / 2, rel=1e-12, abs=0)
    assert "symmetric" in complaint(read_covariance, npy_file(scale * np.array([[1, far], [0, 1]])))


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_semidefinite_to_within_the_tolerance(npy_file, scale):
    assert len(read_covariance(npy_file(scale * np.diag([1, -0.9 * TOLERANCE])))) == 2
    assert "semidefinite" in complaint(read_covariance, npy_file(scale * np.diag([1, -1.1 * TOLERANCE])))


def test_tolerance_is_relative_to_the_largest_eigenvalue(npy_file):
    matrix = np.zeros((5, 5))
    matrix[:4, :4] = 1  # entries up to 1, eigenvalues up to 4
    matrix[4, 4] = -3 * TOLERANCE
    assert len(read_covariance(npy_file(matrix))) == 5
    matrix[4, 4] = -5 * TOLERANCE
    assert "semidefinite" in complaint(read_covariance, npy_file(matrix))


def test_not_semidefinite_says_the_eigenvalues(csv_file):
    message = complaint(read_covariance, csv_file("1,2\n2,1\n"))
    assert "(no eigenvalue below -1e-10 times the largest)" in message
    assert message.endswith("found eigenvalues from -1 to 3")


@pytest.mark.parametrize("text", ["-1", "-1,0\n0,-2\n", "0,1\n1,0\n"])
def test_negative(csv_file, text):
    assert "semidefinite" in complaint(read_covariance, csv_file(text))


@pytest.mark.parametrize("text", ["0", "0,0\n0,-0.0\n"])
def test_all_zero(csv_file, text):
    assert complaint(read_covariance, csv_file(text)).endswith("expected a covariance, found zeros only")


# ------------------------------------------------------------------- the digits


def test_digits():
    covariance = read_covariance("digits")
    assert covariance.shape == (64, 64)
    assert (covariance == covariance.T).all()
    assert np.flatnonzero(covariance.diagonal() == 0).tolist() == [0, 32, 39]
    assert (covariance[[0, 32, 39]] == 0).all()
    assert np.linalg.matrix_rank(covariance) == 61


def test_digits_are_the_moments_of_the_images():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn: not installed")
    pixels = datasets.load_digits().data
    centered = pixels - pixels.mean(axis=0)
    assert read_covariance("digits") == pytest.approx(centered.T @ centered / len(pixels), rel=1e-10, abs=1e-12)


def test_digits_entries_are_multiples_of_one_over_n_squared():
    scaled = read_covariance("digits") * 1797**2
    assert np.abs(scaled - np.rint(scaled)).max() < 1e-6


def test_a_path_is_never_a_built_in_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("4\n")
    assert read_covariance("./digits").tolist() == [[4]]
    assert read_covariance(Path("digits")).tolist() == [[4]]
    assert len(read_covariance("digits")) == 64


def test_built_in_names_are_not_data():
    assert set(BUILT_IN) == {"digits"}
    assert "or the name 'digits', which is a covariance" in complaint(read_data, "digits")


# ------------------------------------------------------------------- writing


@given(content=st.one_of(st.binary(), st.text(st.characters(exclude_categories=["Cs"]))))
@example(content="α\r\nβ\n")
@example(content="")
def test_write_round_trip(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("write") / "out"
    atomic_write(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert os.listdir(path.parent) == ["out"]


def test_write_replaces(tmp_path):
    path = tmp_path / "out"
    path.write_text("a longer text")
    atomic_write(str(path), "short")
    assert path.read_text() == "short"


def test_write_keeps_permissions(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    path.chmod(0o640)
    atomic_write(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    atomic_write(tmp_path / "out", "")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_write_follows_links(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    atomic_write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["folder", "link"]


def test_write_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atomic_write("out", "text")
    assert os.listdir() == ["out"]


def test_write_to_a_device():
    atomic_write(os.devnull, "gone")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    path = tmp_path / "out"
    path.write_text("old")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    assert "No space left on device" in complaint(lambda p: atomic_write(p, "new"), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "out", "new")
    assert os.listdir(tmp_path) == []


def test_write_to_a_folder_or_below_a_file(tmp_path):
    def write(path):
        atomic_write(path, "text")

    (tmp_path / "file").write_text("old")
    assert ": cannot be written: " in complaint(write, tmp_path)
    assert ": cannot be written: " in complaint(write, tmp_path / "file" / "below")
    assert "No such file or directory" in complaint(write, tmp_path / "none" / "out")
    assert ": cannot be written: " in complaint(write, "nul\0byte")
    assert os.listdir(tmp_path) == ["file"]


def test_write_to_a_read_only_file(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *args: False)  # the superuser may write anything
    assert complaint(lambda p: atomic_write(p, "new"), path).endswith(": cannot be written: it is read-only")
    assert path.read_text() == "old"


def test_unencodable_text(tmp_path):
    complaint(lambda p: atomic_write(p, "\ud800"), tmp_path / "out")
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------- spectra, and what data could be


@pytest.mark.parametrize(
    "content, variances, counts",
    [
        ("4\n0.25\n", [4.0, 0.25], [1.0, 1.0]),
        ("variance,times\n4,1\n0.25,99\n", [4.0, 0.25], [1.0, 99.0]),
        ("0\n1\n", [0.0, 1.0], [1.0, 1.0]),
        ("2.5\n", [2.5], [1.0]),
    ],
)
def test_a_spectrum_is_read(csv_file, content, variances, counts):
    found = read_spectrum(csv_file(content))
    assert [each.tolist() for each in found] == [variances, counts]


def test_a_spectrum_of_one_dimension_is_read_from_npy(npy_file):
    assert read_spectrum(npy_file(np.array([4.0, 0.25])))[0].tolist() == [4.0, 0.25]


@pytest.mark.parametrize(
    "content, fragment",
    [
        ("1,2,3\n", "3 columns"),
        ("1\n-2\n", "a variance >= 0 in row 2, found -2.0"),
        ("1,2\n3,0\n", "in row 2, found 0.0"),
        ("1,2.5\n", "an integer >= 1 in the second column in row 1, found 2.5"),
        ("0\n0\n", "a variance > 0, found zeros only"),
        ("1\nnan\n", "a finite number in row 2"),
    ],
)
def test_bad_spectra_are_refused(csv_file, content, fragment):
    assert fragment in complaint(read_spectrum, csv_file(content))


def test_matrices_that_could_be_something_else_are_named():
    square = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.1, 0.3]])
    for rows in (square, np.eye(2), square * 1e-200):
        assert "--covariance if" in ambiguity(rows)
    for rows in (square + [[0, 1e-3, 0]] * 3, square - np.eye(3), square[:2], square[:, :2], np.zeros((2, 2))):
        assert ambiguity(rows) is None
    assert "--spectrum" in ambiguity(np.array([[1.0], [2.0]]))
    assert ambiguity(np.array([[1.0], [-2.0]])) is None


def test_odd_samples_are_remarked_on():
    x = np.random.default_rng(0).standard_normal((30, 3))
    assert remarks(x) == []
    for first in (0, 1):
        (remark,) = remarks(np.column_stack([np.arange(first, first + 30), x]))
        assert f"counts the rows from {first}" in remark
    assert remarks(np.column_stack([np.arange(2, 32), x])) == []
    assert remarks(np.column_stack([x, np.arange(30)])) == []
    (remark,) = remarks(x[:3])
    assert "3 rows in dimension 3: their covariance has rank 2 at most" in remark
    (remark,) = remarks(x * [1.0, 1.0, 1e4])
    assert "standard deviations" in remark
    assert remarks(np.column_stack([x, np.full(30, 7.0)])) == []  # what does not vary has no scale
