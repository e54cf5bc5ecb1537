"""Matrix files: data, covariances and spectra in, text out.

Data come from other people's files: a wrong one should be refused by line and column, not misread.

A matrix file is CSV (columns separated by commas, at most one header line, UTF-8)
or NPY (two-dimensional, integer or floating point, no pickles). Every complaint is
one line naming the file, what was expected and what was found; rows, columns and
lines count from one.
"""

from __future__ import annotations

import csv
import os
import secrets
import stat
from collections.abc import Iterable
from importlib import resources
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BUILT_IN", "TOLERANCE", "ambiguity", "atomic_write", "read_covariance", "read_data", "read_spectrum", "remarks",
]  # fmt: skip

BUILT_IN = {"digits": "digits-covariance.csv"}
"""Covariances that come with the package, by name."""

TOLERANCE = 1e-10
"""Asymmetry allowed, relative to the largest entry, and negative eigenvalue allowed, relative to the largest one."""

PathLike: TypeAlias = str | os.PathLike[str]
Matrix: TypeAlias = NDArray[np.float64]


def read_data(path: PathLike) -> Matrix:
    """Read observations, one per row.

    Parameters
    ----------
    path : str or path-like
        CSV or NPY file. A first CSV line in which no column is a number is
        taken for a header and skipped.

    Returns
    -------
    ndarray, shape (n, d)
        At least two rows of finite float64 numbers.

    Raises
    ------
    ValueError
        One line saying what is wrong with the file, and where.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "data.csv")
    ...     atomic_write(path, "height,width\\n1,2\\n3,4.5\\n")
    ...     read_data(path)
    array([[1. , 2. ],
           [3. , 4.5]])
    """
    values = _read_matrix(path)
    if len(values) < 2:
        raise _complaint(path, "at least two rows of data", "one row")
    return values


def read_covariance(path: PathLike) -> Matrix:
    """Read a covariance matrix.

    Parameters
    ----------
    path : str or path-like
        CSV or NPY file, or the string ``"digits"`` for the covariance of the
        handwritten digits that comes with the package (``"./digits"`` is a file).

    Returns
    -------
    ndarray, shape (d, d)
        Exactly symmetric: a matrix symmetric to within `TOLERANCE` of its largest
        entry is replaced by its symmetric part. Its smallest eigenvalue is at
        least ``-TOLERANCE`` times its largest.

    Raises
    ------
    ValueError
        One line saying what is wrong with the file, and where.

    Examples
    --------
    >>> covariance = read_covariance("digits")
    >>> covariance.shape, int((covariance.diagonal() == 0).sum())
    ((64, 64), 3)
    """
    if isinstance(path, str) and path in BUILT_IN:
        with resources.as_file(resources.files("rmverify") / "data" / BUILT_IN[path]) as file:
            return read_covariance(file)
    return _covariance(path, _read_matrix(path))


def read_spectrum(path: PathLike) -> tuple[Matrix, Matrix]:
    """Read the variances of independent coordinates.

    Parameters
    ----------
    path : str or path-like
        CSV or NPY file: one variance a row, and in a second column, if there is one, how often it occurs. An NPY file
        may hold a one-dimensional array.

    Returns
    -------
    variances, multiplicities : ndarray, shape (K,)

    Raises
    ------
    ValueError
        One line saying what is wrong with the file, and where.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "spectrum.csv")
    ...     atomic_write(path, "4,1\\n0.25,99\\n")
    ...     read_spectrum(path)
    (array([4.  , 0.25]), array([ 1., 99.]))
    """
    values = _read_matrix(path, (1, 2))
    if values.shape[1] > 2:
        expected = "one variance a row, and how often it occurs in a second column"
        raise _complaint(path, expected, f"{values.shape[1]} columns")
    variances = values[:, 0]
    counts = values[:, 1] if values.shape[1] == 2 else np.ones(len(values))
    for wrong, expected, given in (
        (variances < 0, "a variance >= 0", variances),
        ((counts < 1) | (counts != np.floor(counts)), "an integer >= 1 in the second column", counts),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise _complaint(path, f"{expected} in row {row + 1}", repr(float(given[row])))
    if not variances.any():
        raise _complaint(path, "a variance > 0", "zeros only")
    return variances, counts


# ------------------------------------------------------------------- what data could be

_SCALES = 1000.0
"""Ratio of the standard deviations of two columns from which it is remarked on."""


def ambiguity(rows: Matrix) -> str | None:
    """What else a matrix could be than samples, and how to say which; None where it is samples.

    Examples
    --------
    >>> ambiguity(np.eye(3))
    'ambiguous: a symmetric, semidefinite matrix may be a covariance; pass --covariance if it is, else --samples'
    >>> ambiguity(np.array([[1.0, 2.0], [3.0, 5.0]])) is None
    True
    """
    if rows.shape[1] == 1 and (rows > 0).all():
        return "ambiguous: a column of positive numbers may be variances; pass --spectrum if it is, else --samples"
    try:
        _covariance("", rows)
    except ValueError:
        return None
    return "ambiguous: a symmetric, semidefinite matrix may be a covariance; pass --covariance if it is, else --samples"


def remarks(rows: Matrix) -> list[str]:
    """What is odd about samples, a line each.

    Examples
    --------
    >>> remarks(np.array([[1.0, 7.0], [2.0, 6.5], [3.0, 9.0]]))
    ['column 1 counts the rows from 1; it is taken as data, drop it if it is an index']
    """
    n, d = rows.shape
    found = []
    first = rows[0, 0]
    if n > 2 and first in (0, 1) and (rows[:, 0] == first + np.arange(n)).all():
        found.append(f"column 1 counts the rows from {first:g}; it is taken as data, drop it if it is an index")
    if n <= d:
        found.append(f"{n} rows in dimension {d}: their covariance has rank {n - 1} at most, and so is singular")
    with np.errstate(over="ignore", invalid="ignore"):
        spread = rows.std(axis=0)
    spread = spread[spread > 0]
    if spread.size and spread.max() > _SCALES * spread.min():
        found.append(
            f"the standard deviations of the columns go from {spread.min():.3g} to {spread.max():.3g}: the answer "
            "depends on their units; standardize the columns unless they share one"
        )
    return found


def atomic_write(path: PathLike, content: str | bytes) -> None:
    """Write a whole file or nothing.

    The content goes to a temporary file in the same folder, which then takes the
    name `path`; a reader sees the old file or the new one. Links are followed, the
    permissions of an existing file are kept. A device or a pipe is written directly.

    Parameters
    ----------
    path : str or path-like
        File to write; its folder must exist.
    content : str or bytes
        Text is written as UTF-8, line ends as they are.

    Raises
    ------
    ValueError
        One line naming the file and the reason, if it cannot be written.
    """
    try:
        data = content.encode() if isinstance(content, str) else content
        target = os.path.realpath(path)
        mode = os.stat(path).st_mode if os.path.exists(path) else None
        if mode is not None and not os.access(path, os.W_OK):
            raise PermissionError(None, "it is read-only")
        if mode is None or stat.S_ISREG(mode):
            _replace(target, data, None if mode is None else stat.S_IMODE(mode))
        else:
            Path(path).write_bytes(data)
    except (OSError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)!r}: cannot be written: {_reason(error)}") from error


def _complaint(path: PathLike, expected: str, found: str) -> ValueError:
    return ValueError(f"{os.fspath(path)!r}: expected {expected}, found {found}")


def _reason(error: Exception) -> str:
    """The first line of what the system or NumPy says."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0]


def _quote(field: str) -> str:
    field = field.strip()
    return repr(field if len(field) <= 40 else field[:40] + "…") if field else "an empty field"


# ------------------------------------------------------------------- reading


def _read_matrix(path: PathLike, dimensions: tuple[int, ...] = (2,)) -> Matrix:
    """Any matrix file as finite float64 numbers, at least one row and one column."""
    npy = _magic(path).startswith(b"\x93NUMPY")
    if not npy and str(path).endswith(".npy"):
        raise _complaint(path, "an NPY file, as its name says", "other data")
    values = _read_npy(path, dimensions) if npy else _read_csv(path)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        where = f"a finite number in row {row + 1}, column {column + 1}"
        raise _complaint(path, where, str(float(values[row, column])))
    return values


def _magic(path: PathLike) -> bytes:
    """The first bytes of a file that is there, regular, readable and not empty."""
    expected = "a CSV or NPY file"
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(None, "a folder" if stat.S_ISDIR(mode) else "something that is not a regular file")
        with open(path, "rb") as file:
            start: bytes = file.read(6)
    except FileNotFoundError as error:
        names = ", ".join(map(repr, BUILT_IN))
        raise ValueError(
            f"{os.fspath(path)!r}: no such file; expected a CSV or NPY file, or the name {names}, which is a covariance"
        ) from error
    except (OSError, ValueError) as error:
        raise _complaint(path, expected, _reason(error)) from error
    if not start:
        raise _complaint(path, expected, "an empty file")
    return start


def _read_npy(path: PathLike, dimensions: tuple[int, ...]) -> Matrix:
    try:
        with open(path, "rb") as file:
            array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise _complaint(path, "an NPY file of numbers", _reason(error)) from error
    if array.dtype.kind not in "iuf":
        raise _complaint(path, "integers or floating-point numbers", f"dtype {array.dtype}")
    if array.ndim not in dimensions or array.size == 0:
        size = "one- or two" if 1 in dimensions else "two"
        raise _complaint(path, f"a {size}-dimensional array that is not empty", f"shape {array.shape}")
    if array.ndim == 1:
        array = array[:, np.newaxis]
    with np.errstate(over="ignore"):  # a long double beyond float64 becomes inf, reported as such
        return np.ascontiguousarray(array, dtype=np.float64)


def _read_csv(path: PathLike) -> Matrix:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return _parse(path, file)
    except UnicodeDecodeError as error:
        raise _complaint(path, "CSV text in UTF-8 or an NPY file", "bytes that are neither") from error


def _parse(path: PathLike, file: Iterable[str]) -> Matrix:
    lines = filter(str.strip, file)
    head = list(islice(lines, 2))
    if not head:
        raise _complaint(path, "rows of numbers", "blank lines only")
    if _is_header(head[0]):
        del head[0]
    if not head:
        raise _complaint(path, "rows of numbers", "a header line only")
    try:
        return np.loadtxt(chain(head, lines), dtype=np.float64, delimiter=",", ndmin=2, comments=None, quotechar='"')
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise _diagnosis(path, _reason(error)) from error


def _diagnosis(path: PathLike, reason: str) -> ValueError:
    """Read a CSV file again, slowly, and say which line does not fit, and why."""
    width = None
    with open(path, encoding="utf-8-sig") as file:
        numbered = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        for index, (number, line) in enumerate(numbered):
            if index == 0 and _is_header(line):
                continue
            fields = _fields(line)
            for column, field in enumerate(fields, 1):
                if not _is_number(field):
                    where = f"a number in line {number}, column {column} (columns are separated by commas)"
                    return _complaint(path, where, _quote(field))
            width = width or len(fields)
            if len(fields) != width:
                return _complaint(path, f"{width} columns in line {number}, as in the rows before", f"{len(fields)}")
    return _complaint(path, "rows of numbers separated by commas", reason)


def _fields(line: str) -> list[str]:
    return next(csv.reader([line]), [])


def _is_header(line: str) -> bool:
    """Whether a line names columns: some text, and no number."""
    fields = _fields(line)
    return any(field.strip() for field in fields) and not any(map(_is_number, fields))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field


# ------------------------------------------------------------------- checking


def _covariance(path: PathLike, values: Matrix) -> Matrix:
    """The symmetric part of a matrix that is a covariance to within `TOLERANCE`."""
    if values.shape[0] != values.shape[1]:
        raise _complaint(path, "a square covariance", "{} rows and {} columns".format(*values.shape))
    largest = np.abs(values).max()
    if largest == 0:
        raise _complaint(path, "a covariance", "zeros only")
    gap = np.abs(values / largest - values.T / largest)
    if gap.max() > TOLERANCE:
        row, column = np.unravel_index(gap.argmax(), gap.shape)
        found = f"{float(values[row, column])!r} in row {row + 1}, column {column + 1}"
        other = f"{float(values[column, row])!r} in row {column + 1}, column {row + 1}"
        what = f"a symmetric covariance (to {TOLERANCE:g} of its largest entry)"
        raise _complaint(path, what, f"{found}, but {other}")
    symmetric = np.where(values == values.T, values, values / 2 + values.T / 2)
    eigenvalues = np.linalg.eigvalsh(symmetric / largest)
    low, high = float(eigenvalues[0]), float(eigenvalues[-1])
    if low < -TOLERANCE * high:
        expected = f"a positive semidefinite covariance (no eigenvalue below -{TOLERANCE:g} times the largest)"
        raise _complaint(path, expected, f"eigenvalues from {low * largest:.6g} to {high * largest:.6g}")
    return symmetric


# ------------------------------------------------------------------- writing


def _replace(target: str, data: bytes, mode: int | None) -> None:
    temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
