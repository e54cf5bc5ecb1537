"""A case of the gallery: a published fault and its correction, the check that tells them apart, and what weaker tests
say of both."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rmverify.laws import stationary_law
from rmverify.numbers.checks import Array
from rmverify.plans import Correct, Plan
from rmverify.readings.particles import sample
from rmverify.samplers import Kernel, Sampler
from rmverify.samplers.noise import Noise
from rmverify.targets import Gaussian

__all__ = ["TARGET", "Case", "Check", "Finding", "Langevin", "Make", "Subject", "Weak", "judged", "moments"]

TARGET = Gaussian([0.5, -0.25], [0.25, 2.0])
"""Off centre, anisotropic, of variances that are not 1: where it is otherwise, many faults are invisible."""


OWNERS = {
    "ComfyUI": "Comfy-Org", "ControlNet": "lllyasviel", "Euler-Smea-Dyn-Sampler": "Koishi-Star",
    "deepinv": "deepinv", "diffusers": "huggingface", "edward": "blei-lab", "k-diffusion": "crowsonkb",
    "openmm": "openmm", "pybnn": "automl", "randomized-midpoint": "shivamgupta2",
    "rectified-flow-pytorch": "lucidrains", "sglang": "sgl-project", "stablediffusion": "Stability-AI",
    "volesti": "GeomScale", "zea": "tue-bmd",
}  # fmt: skip
"""Whose repositories the reports are in."""


@dataclass(frozen=True)
class Langevin:
    """A Langevin scheme in rmverify's own contract, with its step: it draws a random midpoint."""

    scheme: Any
    step: float


Subject = Sampler | Kernel | Langevin
Make = Callable[[Any], Subject]
"""The code at a number of steps N, or at a step size h."""


def moments(subject: Subject, target: Gaussian, *, start: Any = "normal") -> tuple[Array, Array, Array, Array]:
    """Means and variances of what comes out, and those that are due: of a Sampler's output, and of the position that
    a Markov step leaves invariant."""
    due = target
    if isinstance(subject, Sampler):
        reading = subject.read(target)
        found: Any = reading.law(start)
        due = reading.wanted
    elif isinstance(subject, Kernel):
        found = stationary_law(subject, target)
    else:
        found = _kept(subject, target)
    return found.means, found.variances, due.means, due.variances


@functools.lru_cache(maxsize=16)
def _kept(subject: Langevin, target: Gaussian) -> Any:
    """The law of `stationary_law`, which takes a third of a second: an average over midpoints."""
    return stationary_law(subject.scheme, target, subject.step)


@dataclass(frozen=True)
class Finding:
    """What a check found: a number, the same in words, and whether it is as it should be."""

    number: float
    text: str
    holds: bool


class Check(Protocol):
    """A test on laws: `what` it measures, what is `due`, and what it finds of code made at N or h."""

    @property
    def what(self) -> str: ...

    @property
    def due(self) -> str: ...

    def __call__(self, make: Make) -> Finding: ...


@dataclass(frozen=True)
class Case:
    """A published fault.

    Attributes
    ----------
    title : str
    reports : tuple of str
        Where it was reported, such as "diffusers#1512" (or read, at a commit): read by us, not run.
    told : str
        What the report says.
    wrong, right : callable
        The code as reported and as corrected, of a number of steps or a step size.
    check : Check
        What tells them apart.
    at : number
        The N or h at which weaker tests look.
    target : Gaussian
        On which they look.
    also : callable, optional
        Other numbers of the story, by name.
    """

    title: str
    reports: tuple[str, ...]
    told: str
    wrong: Make
    right: Make
    check: Check
    at: Any = 20
    target: Gaussian = TARGET
    also: Callable[[], Mapping[str, float]] = field(default=dict)

    @property
    def links(self) -> list[str]:
        """Where the reports are."""
        pairs = [report.replace("@", "#").split("#") for report in self.reports]
        kinds = ["tree" if "@" in report else "issues" for report in self.reports]
        return [
            f"https://github.com/{OWNERS[name]}/{name}/{kind}/{which}"
            for (name, which), kind in zip(pairs, kinds, strict=True)
        ]


DRAWS = 1000
ERRORS = 3.0
GOLDEN = 1e-3


@dataclass(frozen=True)
class Weak:
    """A weaker test of fault and correction, as exactly as the laws tell: what it measures, and whether each passes."""

    name: str
    wrong: float
    right: float
    passes: tuple[bool, bool]

    @property
    def verdict(self) -> str:
        """In one word."""
        return {
            (True, True): "blind",
            (False, True): "catches it",
            (False, False): "fails both",
            (True, False): "prefers fault",
        }[self.passes]


def judged(case: Case) -> list[Weak]:
    """A mean of 1000 draws within 3 standard errors of the data's, variances of 1000 draws at one N within 3 standard
    errors, and a golden value, recorded from the faulty code and compared to 1e-3."""
    pair = case.wrong(case.at), case.right(case.at)
    means, variances = [], []
    for subject in pair:
        mean, variance, due_mean, due = moments(subject, case.target)
        means.append(float((np.abs(mean - due_mean) / np.sqrt(due)).max()))
        variances.append(float(np.abs(variance / due - 1).max()))
    golden = [_drawn(subject, case.target) for subject in (pair[0], *pair)]
    moved = [float(np.abs(now - golden[0]).max()) for now in golden[1:]]
    few = [("mean", means, ERRORS / np.sqrt(DRAWS)), ("one N", variances, ERRORS * np.sqrt(2 / DRAWS)),
           ("golden", moved, GOLDEN)]  # fmt: skip
    return [Weak(name, a, b, (bool(a <= most), bool(b <= most))) for name, (a, b), most in few]


def _drawn(subject: Subject, target: Gaussian) -> Array:
    """Some output, from one seed: what a golden value is recorded from."""
    if isinstance(subject, Sampler):
        return np.asarray(sample(subject, target, 4, rng=0))
    if isinstance(subject, Langevin):
        return np.asarray(sample(Plan([Correct(subject.scheme, 0, subject.step, 8)]), target, 4, rng=0))
    rng, shape = np.random.default_rng(0), (4, target.dim)
    noise = Noise(lambda _: rng.standard_normal(shape), shape)
    x = noise()
    state = x if subject.init is None else subject.init(x, noise)
    for _ in range(8):
        state = subject.step(state, lambda x: target.score(0.0, x), noise)
    return np.asarray(state[0] if isinstance(state, tuple) else state)
