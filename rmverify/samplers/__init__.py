r"""Code that nobody here wrote, read as a law.

A library's sampler is run once, as it is, on a batch whose rows are not particles but the basis of what it draws: one
row of zeros, one for its start, one for each of its normal draws. Handed the exact model of a Gaussian target it is an
affine map of these, and the rows that come out are its coefficients: mean and covariance of its output follow, with no
sampling error. Rows of random combinations prove that it was affine, or the code is refused.

`Sampler` is for code that takes noise to data with a model; `Kernel` for a Markov step with a gradient.
"""

from __future__ import annotations

from rmverify.samplers.bookkeeping import Booked, Bookkeeping, bookkept
from rmverify.samplers.defaults import default_targets
from rmverify.samplers.kernel import Joint, Kernel
from rmverify.samplers.probe import NotAffine, NotFinite, Unreadable
from rmverify.samplers.sampler import Call, Reading, Sampler

__all__ = [
    "Booked",
    "Bookkeeping",
    "Call",
    "Joint",
    "Kernel",
    "NotAffine",
    "NotFinite",
    "Reading",
    "Sampler",
    "Unreadable",
    "bookkept",
    "default_targets",
]
