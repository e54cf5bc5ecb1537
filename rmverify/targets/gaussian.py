r"""Gaussian targets: dense, diagonal, or a spectrum with multiplicities, with their noised laws, scores and flows.

Everything is done per *mode*. A mode is an eigenvalue of the covariance: ``variances[k]`` occurs
``multiplicities[k]`` times, and ``means[k]`` is the mean of its coordinates in the eigenbasis. Nothing costs more
than the number of modes, so dimension 10^12 is an ordinary input. The layout says how the modes lie in the
coordinates that a user sees:

dense      coordinates = basis @ modes, every multiplicity 1
spectrum   consecutive blocks of coordinates, one mode each (diagonal: blocks of one)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from rmverify.elementary import like
from rmverify.numbers.checks import Array, dimension, finite_array, least_level, number
from rmverify.numbers.rounding import UNIT
from rmverify.targets.process import flow_slope, mode_mean, mode_score, mode_variance

__all__ = ["Gaussian", "Modes"]

MOST_COORDINATES = 10_000_000
_MARGINAL = 4 * UNIT  # rounding of e^{-2t} lam + (1 - e^{-2t}), relative
_SYMMETRY = 1e-10  # relative to the largest entry
_NEGATIVE = 1e-10  # eigenvalues above -this times the largest are rounding of 0


@dataclass(frozen=True, eq=False, repr=False)
class Modes:
    """The target in its eigenbasis, as the exact readings see it: one column per distinct mode.

    `lam` and `mean` are arrays of any number type; `lift` changes the type, which is how balls enter.
    """

    lam: Any
    mean: Any

    def score(self, t: Any, x: Any) -> Any:
        return mode_score(self.mean, self.lam, t, x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(count={np.size(self.lam)})"

    def lift(self, number: Any) -> Modes:
        return Modes(number(self.lam), number(self.mean))

    def some(self, which: Any) -> Modes:
        """Some of the modes alone."""
        return Modes(self.lam[which], self.mean[which] if np.size(self.mean) > 1 else self.mean)


class Gaussian:
    r"""The Gaussian law N(mean, covariance) and its Ornstein-Uhlenbeck marginals.

    Parameters
    ----------
    mean : array_like, shape (d,)
    covariance : array_like, shape (d, d) or (d,)
        Symmetric positive semidefinite, or the variances of independent coordinates. An eigenvalue of a dense
        covariance below d * 2^-52 times the largest is taken as 0 (the rank that the matrix can tell).

    Attributes
    ----------
    dim : int
        d.
    mean : ndarray, shape (d,)
        In the coordinates given (refused beyond ten million of them: use `means`).
    variances, multiplicities, means : ndarray, shape (K,)
        Eigenvalues, how often each occurs, and the mean of each mode's coordinates in the eigenbasis.
    rounding : ndarray, shape (K,)
        Relative error of each variance, and of each mean in units of its standard deviation, that the law has
        collected on its way. 0 for a law given by the user.
    spectral_error : float
        Absolute error of the eigenvalues of a dense covariance, d * 2^-52 times the largest, and of the variances of
        its marginals. 0 for a law of `with_modes`, which is that of its numbers.

    Raises
    ------
    ValueError
        Where the mean or covariance is not finite, of mismatched shape, not symmetric (relative 1e-10) or not
        positive semidefinite (relative 1e-10).

    Examples
    --------
    >>> import numpy as np
    >>> q = Gaussian([1.0, 0.0], [[2.0, 0.0], [0.0, 0.5]])
    >>> q.dim, q.smoothness, q.path_smoothness()
    (2, 2.0, 2.0)
    >>> q.at(np.log(2)).covariance
    array([[1.25 , 0.   ],
           [0.   , 0.875]])
    """

    variances: Array
    means: Array
    multiplicities: Array
    basis: Array | None
    rounding: Array
    spectral_error: float
    _matrix: Array | None
    _center: Array | None
    _origin: Array | None

    def __init__(self, mean: Any, covariance: Any) -> None:
        center = finite_array("mean", mean, ndim=1)
        matrix = finite_array("covariance", covariance)
        d = center.size
        if matrix.shape not in ((d,), (d, d)):
            raise ValueError(f"covariance: expected shape ({d},) or ({d}, {d}) to match the mean, got {matrix.shape}")
        if matrix.ndim == 1:
            self._set(_nonnegative("covariance", matrix), center, np.ones(d), None)
            return
        scale = np.abs(matrix).max()
        asymmetry = np.abs(matrix - matrix.T).max()
        if asymmetry > _SYMMETRY * scale:
            raise ValueError(f"covariance: expected a symmetric matrix, got |C - C^T| up to {asymmetry:.3g}")
        if np.count_nonzero(matrix - np.diag(np.diagonal(matrix))) == 0:
            self._set(_nonnegative("covariance", np.diagonal(matrix).copy()), center, np.ones(d), None)
            return
        matrix = (matrix + matrix.T) / 2
        variances, basis = np.linalg.eigh(matrix)
        if variances[0] < -_NEGATIVE * scale:
            raise ValueError(
                f"covariance: expected a positive semidefinite matrix, got eigenvalues from {variances[0]:.6g} to "
                f"{variances[-1]:.6g}"
            )
        variances[variances < d * np.finfo(float).eps * max(variances[-1], 0.0)] = 0.0
        self._set(variances, center @ basis, np.ones(d), basis)
        self._matrix, self._center, self._origin = _frozen(matrix), _frozen(center), self.means
        self.spectral_error = d * np.finfo(float).eps * float(variances[-1])

    def _set(self, variances: Array, means: Array, counts: Array, basis: Array | None, rounding: Any = 0.0) -> None:
        self._matrix = self._center = None  # the user's own numbers, where the law was given as a dense matrix
        self._origin = None  # the rotated mean that those of a dense law's marginals are multiples of
        self.spectral_error = 0.0
        self.variances = _frozen(variances)
        self.means = _frozen(means)
        self.multiplicities = _frozen(counts)
        self.basis = None if basis is None else _frozen(basis)
        self.rounding = _frozen(np.broadcast_to(np.asarray(rounding, dtype=float), variances.shape))

    @classmethod
    def _raw(cls, variances: Array, means: Array, counts: Array, basis: Array | None, rounding: Any = 0.0) -> Gaussian:
        self = cls.__new__(cls)
        self._set(variances, means, counts, basis, rounding)
        return self

    def with_modes(self, variances: Any, means: Any, rounding: Any = 0.0) -> Gaussian:
        """The law with this one's eigenbasis and multiplicities but other variances and means, one per mode."""
        shape = self.variances.shape
        variances = np.broadcast_to(np.asarray(variances, dtype=float), shape)
        return Gaussian._raw(
            variances, np.broadcast_to(np.asarray(means, dtype=float), shape), self.multiplicities, self.basis, rounding
        )

    @classmethod
    def from_spectrum(cls, variances: Any, multiplicities: Any, means: Any = None) -> Gaussian:
        """Independent blocks of coordinates: `multiplicities[k]` of variance `variances[k]` and mean `means[k]`.

        Parameters
        ----------
        variances : array_like, shape (K,)
        multiplicities : array_like of int, shape (K,)
        means : array_like, shape (K,), optional
            One value per block, shared by its coordinates; 0 by default.

        Examples
        --------
        >>> Gaussian.from_spectrum([0.25, 4.0], [10**12, 3]).dim
        1000000000003
        """
        lam = _nonnegative("variances", finite_array("variances", variances, ndim=1))
        counts = finite_array("multiplicities", multiplicities, ndim=1)
        center = np.zeros_like(lam) if means is None else finite_array("means", means, ndim=1)
        for name, array in (("multiplicities", counts), ("means", center)):
            if array.shape != lam.shape:
                raise ValueError(f"{name}: expected one value per variance ({lam.size}), got {array.size}")
        if not ((counts >= 1) & (counts == np.floor(counts))).all():
            raise ValueError(f"multiplicities: expected integers >= 1, got {counts}")
        return cls._raw(lam, center, counts, None)

    @classmethod
    def isotropic(cls, variance: Any, dim: Any) -> Gaussian:
        """N(0, variance * I) in dimension `dim`.

        Examples
        --------
        >>> Gaussian.isotropic(0.25, 10**12).strong_concavity
        4.0
        """
        return cls.from_spectrum([number("variance", variance, least=0)], [float(dimension(dim))])

    @classmethod
    def fit(cls, data: Any) -> Gaussian:
        """The Gaussian with the mean and covariance of the rows of `data` (divided by n).

        Parameters
        ----------
        data : array_like, shape (n, d), n >= 2
        """
        rows = finite_array("data", data, ndim=2)
        if rows.shape[0] < 2:
            raise ValueError(f"data: expected at least two rows to fit a covariance, got {rows.shape[0]}")
        center = rows.mean(axis=0)
        deviations = rows - center
        with np.errstate(over="ignore", invalid="ignore"):
            covariance = deviations.T @ deviations / rows.shape[0]
        if not np.isfinite(covariance).all():
            raise ValueError(f"data: the covariance overflows: values go up to {np.abs(rows).max():.3g}; rescale them")
        return cls(center, covariance)

    # --- what it is -----------------------------------------------------------------------------------------

    @cached_property
    def dim(self) -> int:
        total = float(self.multiplicities.sum())
        return int(total) if total < 2**53 else sum(map(int, self.multiplicities.tolist()))

    @property
    def mean(self) -> Array:
        return self.from_modes(self.means) if self._center is None else self._center

    @property
    def covariance(self) -> Array:
        _refuse_large("covariance", self.dim, 20_000)
        if self.basis is None:
            return np.diag(np.repeat(self.variances, self.multiplicities.astype(int)))
        if self._matrix is not None:
            return self._matrix
        matrix = (self.basis * self.variances) @ self.basis.T
        return (matrix + matrix.T) / 2

    @property
    def smoothness(self) -> float:
        """The largest eigenvalue of -grad^2 ln density: 1/min variance, inf where singular."""
        return math.inf if self.variances.min() == 0 else float(1 / self.variances.min())

    @property
    def strong_concavity(self) -> float:
        """The smallest eigenvalue of -grad^2 ln density: 1/max variance."""
        return math.inf if self.variances.max() == 0 else float(1 / self.variances.max())

    def path_smoothness(self, early_stop: float = 0) -> float:
        """The paper's L: sup over t >= early_stop and over modes of 1/v_i(t)."""
        least = float(np.min(mode_variance(self.variances, number("early_stop", early_stop, least=0))))
        return math.inf if least == 0 else max(1.0, 1 / least)

    def __repr__(self) -> str:
        low, high = self.variances.min(), self.variances.max()
        return f"Gaussian(dim={self.dim}, modes={self.variances.size}, variances in [{low:.6g}, {high:.6g}])"

    # --- the process ----------------------------------------------------------------------------------------

    @property
    def modes(self) -> Modes:
        """What the exact readings see; one 0 stands for means that are all 0, which spares them a column per mode."""
        return Modes(self.variances, self.means if self.means.any() else np.zeros(1))

    def at(self, t: float) -> Gaussian:
        """The marginal q_t of the Ornstein-Uhlenbeck process started here; t >= 0 in its own time units."""
        t = number("t", t, least=0)
        rounding = self.rounding + (_MARGINAL if t else 0)
        noised = self.with_modes(mode_variance(self.variances, t), mode_mean(self.means, t), rounding)
        noised.spectral_error, noised._origin = math.exp(-2 * t) * self.spectral_error, self._origin
        return noised

    def score(self, t: Any, x: Any) -> Any:
        """s_t(x) = grad ln q_t(x) for x of shape (..., d), an array of any namespace; t broadcasts with x.

        Raises
        ------
        ValueError
            Where the last axis of x is not d, or at t = 0 of a singular covariance, which has no score.
        """
        self._admit(t, x)
        lam, mean = self._columns(self.variances, x), self._columns(self.means, x)
        return self._rotate(mode_score(mean, lam, t, self._rotate(x, back=True)))

    def flow(self, t: float, h: float, x: Any) -> Any:
        """The exact probability flow from noise level t down to t-h, for x of shape (..., d)."""
        t, h = number("t", t, least=0), number("h", h, least=0)
        if t - h < 0:
            raise ValueError(f"h: expected at most t = {t!r}, got {h!r}")
        self._admit(t, x)
        lam, mean = self._columns(self.variances, x), self._columns(self.means, x)
        modes = self._rotate(x, back=True) - mode_mean(mean, t)
        return self._rotate(like(flow_slope(lam, t, h), x) * modes + mode_mean(mean, t - h))

    def sample(self, n: int, *, rng: Any = None) -> Array:
        """n independent draws, shape (n, d); `rng` as for `numpy.random.default_rng`."""
        _refuse_large("dim", self.dim, MOST_COORDINATES)
        z = np.random.default_rng(rng).standard_normal((n, self.dim))
        columns = self._columns(np.sqrt(self.variances), z), self._columns(self.means, z)
        return np.asarray(self._rotate(columns[0] * z + columns[1]))

    # --- between the coordinates a user sees and the modes --------------------------------------------------

    def from_modes(self, values: Array) -> Array:
        """A vector given by one value per mode, in the user's coordinates (d,)."""
        _refuse_large("mean", self.dim, MOST_COORDINATES)
        if self.basis is not None:
            return np.asarray(values @ self.basis.T)
        return np.repeat(values, self.multiplicities.astype(int))

    def to_modes(self, name: str, values: Any) -> Any:
        """A vector in the user's coordinates, shape (..., d), (..., K) or (..., 1), by one value per mode."""
        values = np.asarray(values)
        size = values.shape[-1] if values.ndim else 1
        if self.basis is not None:
            if size not in (1, self.dim):
                raise ValueError(f"{name}: expected a last axis of 1 or {self.dim}, got shape {values.shape}")
            ones = np.ones((*(values.shape[:-1] if values.ndim else ()), self.dim))
            return (values * ones) @ self.basis
        if size in (1, self.variances.size):
            return values
        if size != self.dim:
            raise ValueError(
                f"{name}: expected a last axis of 1, {self.variances.size} or {self.dim}, got {values.shape}"
            )
        starts = np.concatenate([[0], np.cumsum(self.multiplicities)[:-1]]).astype(int)
        picked = values[..., starts]
        if not (np.repeat(picked, self.multiplicities.astype(int), axis=-1) == values).all():
            raise ValueError(
                f"{name}: values differ inside a block of coordinates of equal variance; give one value per block"
            )
        return picked

    def _columns(self, values: Array, x: Any) -> Any:
        """One value per mode, laid out along x's last axis, in x's namespace and dtype."""
        if values.size == 1:
            return like(values, x)
        if self.basis is None and values.size != self.dim:
            values = np.repeat(values, self.multiplicities.astype(int))
        return like(values, x)

    def _rotate(self, x: Any, back: bool = False) -> Any:
        if self.basis is None:
            return x
        return x @ like(np.ascontiguousarray(self.basis if back else self.basis.T), x)

    def _admit(self, t: Any, x: Any) -> None:
        shape = getattr(x, "shape", ())
        if not shape or shape[-1] != self.dim:
            raise ValueError(f"x: expected an array of shape (..., {self.dim}), got {tuple(shape)}")
        if not array_namespace(x).isdtype(x.dtype, ("real floating", "complex floating")):
            raise ValueError(f"x: expected a floating dtype, got {x.dtype}")
        if least_level(t) == 0 and self.smoothness == math.inf:
            raise ValueError("t: expected t > 0 for a singular covariance, got t = 0, where it has no score")


def _nonnegative(name: str, variances: Array) -> Array:
    if (variances < 0).any():
        k = int(np.argmin(variances))
        raise ValueError(f"{name}: expected variances >= 0, got {variances[k]!r} at index {k}")
    return variances


def _frozen(array: Array) -> Array:
    """A copy that nothing can write to; one array that is such a copy already, so that laws of one basis share it."""
    if array.dtype == float and array.base is None and not array.flags.writeable:
        return array
    array = np.array(array, dtype=float)
    array.setflags(write=False)
    return array


def _refuse_large(name: str, dim: int, most: int) -> None:
    if dim > most:
        raise ValueError(f"{name}: dimension {dim} is above the limit of {most} coordinates; use the values per mode")
