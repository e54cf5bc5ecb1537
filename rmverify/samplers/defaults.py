"""The targets that samplers are judged on where none is named: no fault hides on them behind a number that is 0 or 1.

On N(0, I) a wrong scale, a lost mean or a mode in another's place changes nothing.
"""

from __future__ import annotations

from rmverify.targets import Gaussian

__all__ = ["default_targets"]


def default_targets() -> dict[str, Gaussian]:
    """Targets by name: of several variances, none of them 1, off centre, one of them with correlated coordinates.

    Examples
    --------
    >>> for name, target in default_targets().items():
    ...     print(name, target.dim, target.variances.round(3))
    uneven 3 [0.15 0.6  3.  ]
    narrow 5 [0.06 0.25]
    correlated 2 [0.238 1.762]
    """
    return {
        "uneven": Gaussian([0.5, -1.0, 1.7], [0.15, 0.6, 3.0]),
        "narrow": Gaussian.from_spectrum([0.06, 0.25], [3, 2], [-0.3, 0.7]),
        "correlated": Gaussian([0.8, -0.4], [[1.3, 0.7], [0.7, 0.7]]),
    }
