r"""Published faults of samplers, each refuted by its exact law in milliseconds, and its correction accepted.

Every case is rewritten from the formulas: what the public report says was read, nobody's code was copied or run. Beside
each stands what weaker tests would have said of it: a mean, an error at one number of steps, a golden value.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rmverify.gallery.case import Case, Finding, Weak, judged

__all__ = ["CASES", "Case", "Finding", "Result", "Weak", "load", "run"]

CASES = (
    "heun_v_prediction", "karras_repeated_sigma", "ddpm_trailing", "ddim_linspace", "ddpm_skipped_timesteps",
    "learned_variance_skipped", "ddim_last_alpha", "singlestep_lower_order", "singlestep_nan", "ancestral_float32",
    "dpmpp_2m_h_last", "dpmpp_sde_noise", "sde_sigma_s0", "sde_independent_noise", "churn_max", "input_not_scaled",
    "sigma_prime_factor", "midpoint_as_integer", "flow_step_length", "flow_one_call_short", "flow_noise_without_drift",
    "randomized_midpoint_sign", "randomized_midpoint_noise", "sgld_noise", "sghmc_friction", "baoab_temperature",
)  # fmt: skip
"""Their names, in the order in which they are told: diffusion, flows, Langevin."""


@dataclass(frozen=True)
class Result:
    """What a case came to.

    Attributes
    ----------
    name : str
    case : Case
    wrong, right : Finding
        Of fault and correction.
    weaker : list of Weak
        What a mean, an error at one number of steps and a golden value say.
    also : dict
        Other numbers of the story.
    """

    name: str
    case: Case
    wrong: Finding
    right: Finding
    weaker: list[Weak]
    also: dict[str, float]

    @property
    def holds(self) -> bool:
        """Whether the fault is refuted and its correction accepted."""
        return self.right.holds and not self.wrong.holds

    @property
    def story(self) -> str:
        """The case's formulas, in words."""
        return inspect.getdoc(_module(self.name)) or ""

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        case = self.case
        return {
            "name": self.name, "title": case.title, "reports": list(case.reports), "links": case.links,
            "told": case.told, "story": self.story, "check": {"what": case.check.what, "due": case.check.due},
            "fault": asdict(self.wrong), "correction": asdict(self.right), "holds": self.holds,
            "weaker_tests": [
                {"name": w.name, "fault": w.wrong, "correction": w.right, "fault_passes": w.passes[0],
                 "correction_passes": w.passes[1], "verdict": w.verdict} for w in self.weaker
            ],
            "also": self.also,
        }  # fmt: skip


def load(name: str) -> Case:
    """A case by its name.

    Raises
    ------
    ValueError
        Where there is none of this name.

    Examples
    --------
    >>> load("sgld_noise").reports
    ('edward#722', 'edward#731')
    """
    if name not in CASES:
        near = difflib.get_close_matches(name, CASES, 1)
        more = f"; did you mean {near[0]!r}?" if near else "; `rmverify gallery --list` names all"
        raise ValueError(f"case: expected one of the {len(CASES)} cases of the gallery, got {name!r}{more}")
    case: Case = _module(name).CASE
    return case


def run(names: str | Sequence[str] = CASES) -> list[Result]:
    """Refute the faults of these cases, all by default, accept their corrections, and ask the weaker tests.

    Raises
    ------
    ValueError
        For the name of no case.

    Examples
    --------
    >>> (found,) = run("sgld_noise")
    >>> found.holds, found.wrong.text, found.right.text
    (True, 'order -0.01', 'order 1.00')
    >>> [(weak.name, weak.verdict) for weak in found.weaker]
    [('mean', 'blind'), ('one N', 'catches it'), ('golden', 'prefers fault')]
    """
    results, names = [], [names] if isinstance(names, str) else names
    for name, case in [(name, load(name)) for name in names]:
        wrong, right = case.check(case.wrong), case.check(case.right)
        results.append(Result(name, case, wrong, right, judged(case), dict(case.also())))
    return results


def _module(name: str) -> Any:
    return importlib.import_module(f"rmverify.gallery.cases.{name}")
