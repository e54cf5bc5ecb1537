r"""What comes out of a plan: exact laws, conditional on the midpoints or averaged over them.

Which law a number belongs to matters. On a Gaussian target, with a score affine in x:

* without random midpoints, or *given* them, the output is Gaussian: a `Gaussian` with exact moments;
* with random midpoints the output is a mixture over them: a `MixtureLaw`, whose mean and covariance are exact, and
  whose divergences have confidence intervals. Where target and start are centred with one variance it is a scale
  mixture int N(0, s^2 I) dP(s^2) and P is known (`ScaleMixture`).

On a target of independent coordinates that are not Gaussian, a plan without noise and given its midpoints pushes its
start through one map of the line: a `TransportLaw`. Averaged over midpoints and noises the law on the line is a
`LineLaw`: a density on panels, with an estimate of its error. On a product of them all coordinates share the random
midpoints: a `SharedLaw`, the average of products.

What correctors discretize, underdamped Langevin in continuous time, is known too: on linear forces in closed form
(`kinetic_flow`), on the line for any smooth force by expansion (`kinetic_law`).
"""

from __future__ import annotations

from typing import Any, overload

from rmverify.laws.conditional import conditional, initial, split_target
from rmverify.laws.full import full_law
from rmverify.laws.langevin.linear import kinetic_flow, start_noise
from rmverify.laws.langevin.smooth import KineticLaw, kinetic_law
from rmverify.laws.law import Law
from rmverify.laws.line.averaged import LineLaw, line_law
from rmverify.laws.line.given import Carry, NotMonotone, TransportLaw, transport_law
from rmverify.laws.mixture import MixtureLaw
from rmverify.laws.scale import Lattice, ScaleMixture
from rmverify.laws.shared import SharedLaw
from rmverify.laws.stationary import StationaryLaw, stationary_law
from rmverify.plans import Plan
from rmverify.readings.affine import Transition
from rmverify.readings.witness import acts_on_line, mixes
from rmverify.samplers import Kernel, Sampler
from rmverify.targets import EstimatedScore, Factor, Gaussian, Product, Target

__all__ = [
    "Carry", "KineticLaw", "Lattice", "Law", "LineLaw", "MixtureLaw", "NotMonotone", "ScaleMixture", "SharedLaw",
    "StationaryLaw", "Transition", "TransportLaw", "kinetic_flow", "kinetic_law", "output_law", "start_noise",
    "stationary_law",
]  # fmt: skip


@overload
def output_law(
    plan: Plan, target: Gaussian | EstimatedScore, *, alphas: Any = None, start: Any = "normal"
) -> Gaussian | MixtureLaw: ...
@overload
def output_law(
    plan: Plan, target: Factor | Product, *, alphas: Any = None, start: Any = "normal"
) -> TransportLaw | LineLaw | SharedLaw: ...
@overload
def output_law(plan: Sampler | Kernel, target: Target, *, steps: Any = None, start: Any = "normal") -> Gaussian: ...
def output_law(
    plan: Plan | Sampler | Kernel, target: Target, *, alphas: Any = None, start: Any = "normal", steps: Any = None
) -> Law:
    """The exact law of what a plan, or code of your own, outputs.

    Parameters
    ----------
    plan : Plan, Sampler or Kernel
    target : Gaussian, EstimatedScore of a Gaussian, Guided, or for a Plan a Factor or Product
    alphas : sequence, optional
        What the steps draw but for normal values, one entry per step that draws: a number, or the (A,) values of a step
        that draws several: midpoints in their strata, choices 0 or 1, durations >= 0.
    start : {"normal", "exact"}, Gaussian or Factor
        N(0, I), or the true q_T, or, for a Gaussian target, any Gaussian in its modes, and otherwise any Factor. Of a
        Sampler, x_T ~ N(0, I), or that with which its first model call is exact.
    steps : int or sequence
        Of a Kernel, how many steps, or the size of each.

    Returns
    -------
    Gaussian
        Of a Sampler, and of the position of a Kernel. On a Gaussian target, where nothing is random but the normal
        draws, or where `alphas` are given; in full coordinates (up to 512) where a step has coefficients per coordinate
        or mixes them.
    MixtureLaw
        Otherwise, on a Gaussian target.
    TransportLaw
        On a Factor or Product, where nothing is random but the start, or where `alphas` are given.
    LineLaw
        Otherwise, on a Factor or a Product of dimension 1, or on any Product where no midpoint is random.
    SharedLaw
        Otherwise, on a Product, whose coordinates share the midpoints; of steps without noise.

    Raises
    ------
    TypeError
        For another target; on a Gaussian one where the scheme is not affine in its state; on a Factor or Product for
        steps that no reading of the line knows, and on a Product for random midpoints beside noise.
    ValueError
        Where a step that is not the package's own breaks the contract: random numbers of its own, state kept between
        calls, x changed in place, midpoints shared by particles. It is run on a few particles to see.
    ArithmeticError
        On a Factor or Product where a step without noise folds the line.
    OverflowError
        Where the scheme is so unstable that the moments overflow.

    Examples
    --------
    >>> from rmverify import Gaussian, Plan, Predict, output_law, schemes, tv
    >>> target = Gaussian([0.0, 1.0], [0.25, 4.0])
    >>> plan = Plan([Predict(schemes.heun, [3.0, 2.0, 1.0])])
    >>> law = output_law(plan, target)
    >>> law.dim, tv(law, target.at(1.0)).kind
    (2, 'exact')
    """
    if isinstance(plan, Kernel):
        return plan.law(target, 1 if steps is None else steps, start=start).x
    if isinstance(plan, Sampler):
        return plan.read(target).law(start)
    if not isinstance(plan, Plan):
        raise ValueError(f"plan: expected a Plan, a Sampler or a Kernel, got {type(plan).__name__}")
    plan.admit(target)
    if isinstance(target, Factor | Product):
        for stage in plan:
            acts_on_line(stage, target.factor if isinstance(target, Product) else target, target.dim)
        noisy = any(stage.footprint.noises for stage in plan)
        if alphas is None and plan.drawing_steps and isinstance(target, Product) and target.dim > 1:
            return SharedLaw(plan, target, start)
        if alphas is None and (noisy or plan.drawing_steps):
            return line_law(plan, target, start)
        return transport_law(plan, target, alphas, start)
    truth, modes = split_target(target)
    whys = [mixes(stage, target, truth, modes) for stage in plan]
    why = next(filter(None, whys), None)
    if why is not None:
        if alphas is None and plan.drawing_steps:
            raise TypeError(
                f"plan: a step does not act on each mode by itself ({why}); averaged over random midpoints its law is "
                "computed per mode only; pass the midpoints with alphas=, or draw from it with rmverify.sample"
            )
        return full_law(plan, target, () if alphas is None else alphas, start)
    if alphas is None and plan.drawing_steps:
        initial(truth, plan, start)  # refuses what is no start, before anything is computed
        return MixtureLaw(plan, target, start)
    return conditional(plan, target, alphas, start)
