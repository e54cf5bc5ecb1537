r"""Strong against weak: how far randomized midpoint Langevin is from the exact dynamics on the same Brownian path, and
how far its law is.

Lower bounds for sampling are proved for the first, samplers are used for the second. On a linear force -k x both are
exact: with x* the exact process and e = x^ - x*, (e, x*) moves by

    e' = A e + (A - F) x* + (n^ - n*),     x*' = F x* + n*,

A and n^ from the step's own code, F = e^{Mh}, and n^, n* made of one Brownian motion on [0, ah] and [ah, h]. Its second
moments, averaged over a, are propagated over balls: e is h^{3/2} of x*, and nothing of it is left in floats.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from rmverify.claims.evidence import Evidence, Look
from rmverify.claims.looks.measure import fitted, romberg
from rmverify.numbers.quadrature import unit_balls
from rmverify.numbers.values import Value
from rmverify.readings.affine import AffineDraw, forms
from rmverify.readings.balls import lift, lift_scheme, precision

__all__ = ["Errors", "errors", "leading", "strong_and_weak"]

BITS, NODES = 192, 12  # entries are analytic in the midpoint and in time: 1e-25 at gh = 1/2
K, FRICTION, MASS, TIME = 0.75, 1.5, 2.0, 1.0  # a parameter that is lost is seen
COUNTS = (8, 16, 32, 64)


class Errors(NamedTuple):
    """E|x^ - x*|^2 and E x^^2 - E x*^2 of one coordinate after TIME, as balls."""

    strong: Any
    weak: Any


def errors(scheme: Any, steps: int) -> Errors:
    """Both errors of so many equal steps, started from the invariant law.

    Raises
    ------
    ValueError
        Where the step's noise is not that of the free motion on [0, ah] and on [ah, h]: then it has no Brownian path.

    Examples
    --------
    >>> from rmverify.schemes import randomized_midpoint_langevin
    >>> found = errors(randomized_midpoint_langevin(friction=1.5, mass=2), 8)
    >>> 0 < float(found.strong) < 0.01 and 0 < float(found.weak) < float(found.strong)
    True
    """
    from flint import arb, arb_mat

    with precision(BITS):
        h = arb(TIME) / steps
        Z = arb_mat(4, 4, [0] * 16)
        Z[2, 2], Z[3, 3] = 1 / arb(K), arb(MASS)
        maps = [(w, *_step(scheme, a, h)) for a, w in zip(*unit_balls(NODES), strict=True)]
        for _ in range(steps):
            Z = functools.reduce(operator.add, (w * (B * Z * B.transpose() + Q) for w, B, Q in maps))
        return Errors(Z[0, 0], Z[0, 0] + 2 * Z[0, 2])


def _motion(time: Any) -> Any:
    """F = exp(M time) of the exact process."""
    from flint import arb, arb_mat

    return (arb_mat(2, 2, [0, 1, -arb(MASS) * arb(K), -arb(FRICTION)]) * time).exp()


def _brownian(time: Any) -> Any:
    """The covariance of (free v, free x, x*, v*), what one Brownian motion adds to each over a time from rest."""
    from flint import arb, arb_mat

    total, g = arb_mat(4, 4, [0] * 16), arb(FRICTION)
    for s, w in zip(*unit_balls(NODES), strict=True):
        r = s * time
        F = _motion(r)
        kernel = arb_mat(4, 1, [(-g * r).exp(), -(-g * r).expm1() / g, F[0, 1], F[1, 1]])
        total = total + w * time * 2 * g * arb(MASS) * (kernel * kernel.transpose())
    return total


def _step(scheme: Any, a: Any, h: Any) -> tuple[Any, Any]:
    """B and Q of z' = B z + N(0, Q), z = (e, x*), for one midpoint."""
    from flint import arb_mat

    draw = AffineDraw(lift([a]).reshape(1, 1, 1, 1), lift)
    forces = SimpleNamespace(score=lambda t, x: x * -lift(K))
    outs = forms(lift_scheme(scheme), forces, lift(0.0).reshape(1, 1, 1), lift(h).reshape(1, 1, 1), draw)

    def number(part: Any) -> Any:
        return lift(part).ravel()[0]

    pieces = [_brownian(a * h), _brownian((1 - a) * h)]
    given = [covariance for covariance, _ in draw.draws]
    if [len(rows) for rows in given] != [2, 2] or not all(
        abs(number(rows[i][j]) - due[i, j]) < 1e-20
        for rows, due in zip(given, pieces, strict=True)
        for i in (0, 1)
        for j in (0, 1)
    ):
        raise ValueError("scheme: its noises are not those of the free motion on [0, ah] and on [ah, h]")
    A = arb_mat(2, 2, [number(form.parts.get(name, 0)) for form in outs for name in ("x", "v")])
    F, rest = _motion(h), _motion((1 - a) * h)
    B = arb_mat(4, 4, [0] * 16)
    for i in (0, 1):
        for j in (0, 1):
            B[i, j], B[i, 2 + j], B[2 + i, 2 + j] = A[i, j], A[i, j] - F[i, j], F[i, j]
    Q = arb_mat(4, 4, [0] * 16)
    for which, (covariance, flow) in enumerate(zip(pieces, (rest, None), strict=True)):
        ours = arb_mat(2, 2, [number(form.parts.get((which, i, 0), 0)) for form in outs for i in (0, 1)])
        R = arb_mat(4, 4, [0] * 16)  # of (e, x*) on what the Brownian motion adds in this piece
        for i in (0, 1):
            for j in (0, 1):
                exact = int(i == j) if flow is None else flow[i, j]
                R[i, j], R[i, 2 + j], R[2 + i, 2 + j] = ours[i, j], -exact, exact
        Q = Q + R * covariance * R.transpose()
    return B, Q


def leading() -> tuple[float, float]:
    """N^{3/2} times the strong error and N^3 times the weak one as N -> infinity.

    Given the path, a midpoint moves a step by u k h^2 (a - 1/2) (x, -g x - v); the mean of a step is off by
    (k u^2 h^4/12) r r^T in second moments, r = (1, -g). With G the response of x to v, which takes these to G' x - G v
    and to G', they become at time T

        strong^2 = T^3 k^2 u^2/12 int_0^T (G'^2/k + u G^2),     weak = T^3 k u^2/12 int_0^T G'^2.
    """
    with precision(BITS):
        pairs = list(zip(*unit_balls(2 * NODES), strict=True))
        flows = [(w, _motion(s * TIME)) for s, w in pairs]
        in_x, in_v = (float(sum(w * F[i, 1] * F[i, 1] for w, F in flows)) * TIME for i in (0, 1))
    scale = TIME**3 * K * MASS**2 / 12
    return math.sqrt(scale * (in_v + K * MASS * in_x)), scale * in_v


def strong_and_weak(look: Look, scheme: Any, strong_power: float, weak_power: float) -> Iterator[Evidence]:
    """Powers of 1/N and leading constants of both."""
    if not (look.wants("exact") + look.wants("fitted")):
        return
    found = [errors(scheme(friction=FRICTION, mass=MASS), n) for n in COUNTS]
    x = [1 / n for n in COUNTS]
    strong, weak = [math.sqrt(float(e.strong)) for e in found], [abs(float(e.weak)) for e in found]
    domain = f"force -{K:g} x, friction {FRICTION:g}, mass {MASS:g}, time {TIME:g}, invariant start; over balls"
    if look.wants("fitted"):
        yield fitted("root mean square distance to the exact dynamics on the same Brownian path", x, strong,
                     strong_power, names=("1/N", "strong error"), domain=domain)  # fmt: skip
        yield fitted(
            "error of the law's second moment", x, weak, weak_power, names=("1/N", "weak error"), domain=domain
        )
    if look.wants("exact"):
        rows, agree = [], True
        for name, values, power, due in zip(
            ("strong", "weak"), (strong, weak), (strong_power, weak_power), leading(), strict=True
        ):
            scaled = [y * n**power / due for y, n in zip(values, COUNTS, strict=True)]
            twice = romberg(scaled)[2]
            slack = abs(twice[-1] - twice[-2]) + 1e-12
            agree = agree and abs(twice[-1] - 1) <= slack
            rows.append({"error": name, "power of N": -power, "constant": due, "measured/constant": twice[-1],
                         "+-": slack, f"at N = {COUNTS[-1]}": values[-1]})  # fmt: skip
        yield Evidence(
            "exact", "the leading constants of both, in closed form and from the steps",
            "holds" if agree else "violated",
            computed=f"strong {rows[0]['constant']:.5g} sqrt(d) N^-{strong_power:g}, weak {rows[1]['constant']:.5g} "
            f"N^-{weak_power:g}; at N = {COUNTS[-1]} the second is {strong[-1] / weak[-1]:.3g} times smaller",
            bound="both constants derived", rows=tuple(rows), domain=domain,
            constant=Value(rows[0]["constant"], "exact", 1e-13), label="tight",
        )  # fmt: skip
