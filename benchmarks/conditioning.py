"""`python -m benchmarks.conditioning FILE.png`: score evaluations against the condition number, and their picture.

Perbost, Bach and Marion's Figure 1 (d = 1000, kappa = 10^6, as many eigenvalues in every decade) with the samplers that
their Table 1 lacks, in total variation as well; and how many evaluations an accuracy takes as kappa grows.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rmverify.laws.closed import bits
from rmverify.numbers.checks import Array
from rmverify.readings.balls import precision
from rmverify.studies import langevin_diffusion as study
from rmverify.views.common import drawn

DIM, CONDITION = 1000, 1e6
CONDITIONS = (1e2, 1e4, 1e6, 1e8)
ACCURACIES = (("W2 <= 1e-3 sqrt(Tr)", study.relative_error, 1e-3), ("TV <= 0.1", study.variation, 0.1))
LONG, SHORT = 10**13, 70_000  # the most steps in closed form or by doubling, and one by one
COLORS = ("#E69F00", "#D55E00", "#0072B2", "#56B4E9", "#56B4E9", "#009E73", "#000000", "#CC79A7", "#882255")
STYLES = ("-", "-", "-", ":", "--", "--", "--", "--", "--")


def table(dim: int = 100) -> Iterator[list[str]]:
    """A row for every sampler and accuracy: evaluations at each kappa, and the power of the last step."""
    for text, measure, eps in ACCURACIES:
        for sampler in (*study.PAPER, *study.OTHERS):
            counts = [
                study.steps_to(sampler, study.geometric(kappa, dim), _most(sampler), measure, eps)
                for kappa in CONDITIONS
            ]
            found = [None if n is None else n * sampler.evaluations for n in counts]
            power = "-"
            if found[-1] and found[-2]:
                power = f"{math.log(found[-1] / found[-2]) / math.log(CONDITIONS[-1] / CONDITIONS[-2]):.2f}"
            yield [text, sampler.name, *("-" if n is None else f"{n:.2g}" for n in found), power]


def constants(dim: int = 100) -> Iterator[list[str]]:
    """A row for every sampler and error, c (ln N/N)^p by a last doubling of N: p, and c at two kappa."""
    for sampler in (*study.PAPER, *study.OTHERS):
        N = 16_384 if not _closed(sampler) else 10**9 if getattr(sampler, "order", 1) == 1 else 10**5
        for name, measure in (("W2/sqrt(Tr)", study.relative_error), ("TV", study.variation)):
            fits = [_fit(sampler, study.geometric(kappa, dim), N, measure) for kappa in (CONDITIONS[0], CONDITIONS[1])]
            (power, first), (_, second) = fits
            yield [sampler.name, name, f"{power:.2f}", f"{first:.3g}", f"{second:.3g}", f"{second / first:.3g}"]


def _fit(sampler: Any, spectrum: study.Spectrum, steps: int, measure: Callable[..., float]) -> tuple[float, float]:
    """The local power p of ln N/N, and c with the whole power next to it."""
    x = [math.log(n) / n for n in (steps // 2, steps)]
    y = [measure(spectrum, sampler.deviations(spectrum, n)) for n in (steps // 2, steps)]
    power = math.log(y[1] / y[0]) / math.log(x[1] / x[0])
    return power, y[1] / x[1] ** round(power)


def _most(sampler: Any) -> int:
    return LONG if _closed(sampler) else SHORT


def _closed(sampler: Any) -> bool:
    return sampler in study.PAPER or sampler.friction is not None


def curves() -> Iterator[tuple[Any, list[int], Array, Array]]:
    """(sampler, evaluations, W_2 over sqrt(Tr Sigma), TV); nothing where a scheme is unstable."""
    spectrum = study.geometric(CONDITION, DIM)
    for sampler in (*study.PAPER, *study.OTHERS):
        most, points = (10**9, 34) if _closed(sampler) else (4096, 16)
        counts = np.unique(np.geomspace(4, most, points).astype(int)).tolist()
        found = [sampler.deviations(spectrum, n) for n in counts]
        errors = np.array([[f(spectrum, z) for f in (study.relative_error, study.variation)] for z in found])
        errors[errors[:, 0] > 2] = np.nan
        yield sampler, [n * sampler.evaluations for n in counts], errors[:, 0], errors[:, 1]


def equivalent(sampler: study.Sampler, steps: Array) -> Array:
    """The paper's asymptotic equivalent of W_2/sqrt(Tr Sigma), from where it admits N on."""
    spectrum = study.geometric(CONDITION, DIM)
    with precision(bits(1)):
        scale = {0.5: float(spectrum.effective) / 8, 4.0: float(spectrum.effective) / 4}.get(sampler.least, 5 / 8)
    first = 1 if sampler.least == 0 else study.burn_in(sampler, spectrum)
    return np.where(steps >= first, scale * np.log(steps) / steps, np.nan)


def picture() -> bytes:
    """Both panels as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.2), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    for (sampler, evaluations, distance, tv), color, style in zip(curves(), COLORS, STYLES, strict=True):
        own = sampler in study.PAPER
        given: dict[str, Any] = {"color": color, "linestyle": style, "linewidth": 2.4 if own else 1.6}
        axes[0].loglog(evaluations, distance, label=sampler.name.split(", T and")[0], **given)
        axes[1].loglog(evaluations, np.where(tv > 1e-9, tv, np.nan), **given)
        if own:
            line = equivalent(sampler, np.array(evaluations, dtype=float))
            axes[0].loglog(evaluations, line, color="0.4", linestyle=":", linewidth=1)
    axes[0].set_ylabel(r"$W_2/\sqrt{\mathrm{Tr}\,\Sigma}$")
    axes[1].set_ylabel("total variation")
    axes[0].set_ylim(1e-7, 2)
    axes[1].set_ylim(1e-5, 2)
    for axis in axes:
        axis.set_xlabel("evaluations of the score")
        axis.grid(alpha=0.3)
    figure.suptitle("Going down the noise levels spares Langevin's wait of order κ; randomized midpoints shorten both\n"
                    "Gaussian target, d = 1000, κ = 10⁶. Thick: Perbost, Bach, Marion 2026, dotted their equivalents",
                    fontsize="medium")  # fmt: skip
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return drawn(figure, "png")


def main() -> int:
    """Write the picture, print the tables."""
    parser = argparse.ArgumentParser("python -m benchmarks.conditioning", description=__doc__)
    parser.add_argument("picture", nargs="?", type=Path, help="where to write the picture")
    options = parser.parse_args()
    if options.picture is not None:
        options.picture.write_bytes(picture())
    print("| accuracy | sampler | " + " | ".join(f"κ = {kappa:.0e}" for kappa in CONDITIONS) + " | power of κ |")
    print("|---|---|" + "---|" * (len(CONDITIONS) + 1))
    for row in table():
        print("| " + " | ".join(row) + " |", flush=True)
    print(f"\n| sampler | error | p of c (ln N/N)^p | c at κ = {CONDITIONS[0]:.0e} | at {CONDITIONS[1]:.0e} | ratio |")
    print("|---|---|---|---|---|---|")
    for row in constants():
        print("| " + " | ".join(row) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
