"""Make the covariance of the handwritten digits that comes with rmverify.

Reads scikit-learn's copy of the test set of "Optical Recognition of Handwritten
Digits" (UCI Machine Learning Repository, DOI 10.24432/C50P49): 1797 images of 8x8
pixels with values 0 to 16. Writes their maximum-likelihood covariance as CSV.

    python benchmarks/make_digits.py [FILE]

The moments are summed in integers and each entry is rounded once, so the file does
not depend on the machine, and the matrix is exactly symmetric.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

DEFAULT = Path(__file__).parents[1] / "rmverify" / "data" / "digits-covariance.csv"


def exact_covariance(pixels: np.ndarray) -> list[list[float]]:
    """Maximum-likelihood covariance of integer data: (n Σxxᵀ - ΣxΣxᵀ) / n²."""
    n = len(pixels)
    total = pixels.sum(axis=0)
    numerators = n * (pixels.T @ pixels) - np.outer(total, total)
    return [[int(entry) / n**2 for entry in row] for row in numerators]


def main() -> None:
    """Write the file and say what is in it."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    pixels = load_digits().data.astype(np.int64)
    covariance = exact_covariance(pixels)
    target.write_text("".join(",".join(map(repr, row)) + "\n" for row in covariance), encoding="utf-8")
    constant = [pixel for pixel, row in enumerate(covariance) if row[pixel] == 0]
    print(f"{target}: {len(pixels)} images, {len(covariance)} pixels, constant pixels {constant}", file=sys.stderr)


if __name__ == "__main__":
    main()
