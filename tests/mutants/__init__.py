"""Deliberate mutants: each a scheme (or a function that schemes rest on) with ONE change, and the fact that refutes it.

    patch("euler_without_drift", "(x + score(t, x))", "score(t, x)", of="euler", killed_by="bias_constant")

where one line of the original's source is wrong, and where more is

    @mutant(of="overdamped", killed_by="every_place")
    def noise_correlated_between_steps(x, t, h, score, draw): ...

Add one whenever a way to get a scheme wrong comes to mind; importing its file registers it.
"""

from __future__ import annotations

import importlib
import inspect
import linecache
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

from rmverify import elementary, schemes
from rmverify.targets import process

KINETIC = (
    "underdamped", "randomized_midpoint_langevin", "parallel_underdamped", "underdamped_euler", "stratified_hmc",
)  # fmt: skip
FAMILIES = ("probability_flow", "langevin", "noise", "parallel", "places", "process", "reverse")
FUNCTIONS = {
    "mode_mean": process,
    "mode_variance": process,
    "mode_score": process,
    "flow_slope": process,
    "phi2": elementary,
    "prefix": elementary,
    "log1p_minus": elementary,
}
CLAIMS = {
    "randomized_midpoint": "B2",
    "exponential_integrator": "B4",
    "parallel_midpoint": "B6",
    "midpoint": "B7",
    "heun": "B7",
    "euler": "B7",
    "underdamped": "C2",
    "overdamped": "C2",
    "overdamped_midpoint": "K1",
    "parallel_overdamped": "K2",
    "poisson_midpoint": "K3",
    "stratified_hmc": "K4",
    "stochastic_runge_kutta": "K5",
    "randomized_midpoint_langevin": "C3",
    "parallel_underdamped": "D2",
    "importance_midpoint": "H1",
    "ddpm": "H2",
    "exponential_sde": "H3",
    "randomized_midpoint_sde": "H4",
    "jiao_li": "H5",
    "underdamped_euler": "E2",
    "reverse_euler": "E3",
    "ddim": "G1",
    "parareal": "G1",
    "parallel_slices": "G2",
    "parallel_langevin": "G3",
}
"""The claim of the ledger that is about a scheme; for its mutants that bias the integral B1, the variance B3."""
MUTANTS: dict[str, Mutant] = {}


@dataclass(frozen=True)
class Mutant:
    """A wrong scheme, the name of the right one, and the fact that tells them apart."""

    name: str
    step: Any
    of: str
    killed_by: str
    line: int

    @property
    def claim(self) -> str | None:
        """The claim of the ledger that must catch it."""
        if self.of == "randomized_midpoint" and self.killed_by in ("unbiased", "variance_constant"):
            return {"unbiased": "B1", "variance_constant": "B3"}[self.killed_by]
        return "B1" if (self.of, self.killed_by) == ("parallel_midpoint", "unbiased") else CLAIMS.get(self.of)


def mutant(*, of: str, killed_by: str) -> Any:
    """Register the decorated step as a mutant of the shipped scheme (or function) `of`, with the same parameters."""

    def register(step: Any) -> Any:
        call = step if of in FUNCTIONS else schemes.scheme(kinetic=of in KINETIC)(step)
        return _registered(call, of, killed_by, step.__code__.co_firstlineno)

    return register


def patch(name: str, old: str, new: str, *, of: str, killed_by: str, inside: Any = None, **names: Any) -> None:
    """Register as a mutant the source of `of`, or of the function `inside` that it calls, with `new` in the place of
    `old`; what `new` needs besides is handed over by name."""
    caller = sys._getframe(1)
    step = inspect.unwrap(original(of))
    scope = {**step.__globals__, **names, "__name__": caller.f_globals["__name__"]}
    for function in (inside, step) if inside else (step,):
        source = rewritten(function, old, new) if function is (inside or step) else inspect.getsource(function)
        if function is step:
            source = source.replace(f"def {of}(", f"def {name}(")
        run(source, f"{caller.f_code.co_filename}:{caller.f_lineno}: {function.__name__}", scope)
    scope[name].__doc__ = f"{of} with {new!r} in the place of {old!r}."
    caller.f_globals[name] = _registered(scope[name], of, killed_by, caller.f_lineno)


def rewritten(function: Any, old: str, new: str) -> str:
    """The source of a function with `new` in the place of `old`, which stands in it once."""
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(old) != 1:
        raise ValueError(
            f"{function.__name__}: expected {old!r} once in its source, found it {source.count(old)} times"
        )
    return source.replace(old, new)


def run(source: str, name: str, scope: dict[str, Any]) -> None:
    """Execute a source that tracebacks and `inspect` show under this name."""
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    exec(compile(source, name, "exec"), scope)


def _registered(step: Any, of: str, killed_by: str, line: int) -> Any:
    name = f"{step.__module__.rsplit('.', 1)[-1]}.{step.__name__}"
    if name in MUTANTS and MUTANTS[name].line != line:
        raise ValueError(f"two mutants are called {name}")
    MUTANTS[name] = Mutant(name, step, of, killed_by, line)
    return step


@dataclass(frozen=True)
class Line:
    """A line of a computation written wrongly: `old` in the source of `owner.of`, and what stands there instead."""

    name: str
    owner: Any
    of: str
    old: str
    new: str
    killed_by: str

    def write(self, patch):
        """Put the wrong function in the place of the right one, until `patch` is undone."""
        function = getattr(self.owner, self.of)
        function = function.fget if isinstance(function, property) else function
        scope = dict(function.__globals__)
        run(rewritten(function, self.old, self.new), self.name, scope)
        patch.setattr(self.owner, self.of, scope[self.of])


def load() -> dict[str, Mutant]:
    """Every mutant, by name."""
    for family in FAMILIES:
        importlib.import_module(f"mutants.{family}")
    return MUTANTS


def original(of: str) -> Any:
    """What the mutants of this name are mutants of."""
    return getattr(FUNCTIONS.get(of, schemes), of)
