r"""The same walk, with the noise of the position taken at the midpoint's time.

    W_2 = H(h) - e^-2h G(h),       as read H(h) - e^-2b G(h),

H = B and G(t) the integral of e^2r dB_r. W_2 is the integral of 1 - e^(-2(h - r)) dB_r, which knows nothing of the
midpoint b.
"""

from rmverify.gallery.case import Case
from rmverify.gallery.cases.randomized_midpoint_sign import CORRECT, STANDARD, walk
from rmverify.gallery.checks import Order

CASE = Case(
    title="Randomized-midpoint Langevin: the noise of the position",
    reports=("volesti#124",),
    told="no report: this is how include/ode_solvers/randomized_midpoint.hpp, which that pull request added, was read "
    "at 83d5e0d; its test looks at the mean",
    wrong=walk(early=1),
    right=CORRECT,
    check=Order(3, 0.2, 0.1, STANDARD),
    at=0.2,
    target=STANDARD,
)
