"""Make the page of audits of every scheduler of diffusers: docs/schedulers.md.

    python benchmarks/make_schedulers.py [FILE]

Needs diffusers and PyTorch (the extra `clients`). Every scheduler is audited with its default options, clipping and
thresholding switched off, on the default target; those whose law cannot be read are listed with the reason. Then the
least number of steps is found with which the digits, noised a little so that they are not singular, come out within
total variation 0.1 from an exact start, up to N = 1000.
"""

from __future__ import annotations

import datetime
import math
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import rmverify as rm
from rmverify.io import read_covariance
from rmverify.studies.budget import setting
from rmverify.targets.spectra import spectrum

DEFAULT = Path(__file__).parents[1] / "docs" / "schedulers.md"
_LADDER = (10, 20, 40, 80, 160)
_TV, _MOST = 0.1, 1000

_HEAD = """# Every scheduler of diffusers, audited

diffusers {diffusers}, PyTorch {torch}, rmverify {rmverify}, {date}. Made by `python benchmarks/make_schedulers.py`;
one of them alone: `rmverify audit diffusers:HeunDiscreteScheduler`.

Each scheduler was run as it is, with its default options but for clipping and thresholding (switched off: they are not
affine), with the exact model of Gaussian data in place of a network. What comes out is Gaussian, and its law is known
without sampling. The columns:

- **evaluations** of the model, for N steps;
- **order**: how fast the discretization error falls, in total variation and from an exact start, of the last input of
  the model at the lowest noise level that all N share; in brackets where the slopes over N = 10 to 160 have not
  settled;
- **start**: total variation that starting from N(0, I) instead of the exact law of the first level makes;
- **at N = 160**: total variation of the output to the data, start included, and **from an exact start**, with the last
  step;
- **calls**: whether each call of the model is at the level that it names;
- **digits**: model evaluations until the output is within total variation 0.1 of the handwritten digits' Gaussian
  (dimension 64, noised by δ = {delta:.3g} so that it is not singular), from an exact start, up to N = 1000.

A floor is no fault: it is where a schedule of levels starts or ends, and another option of the scheduler may move it.
What is said here is about exact models and Gaussian data. A network's error comes on top.
"""

_QUESTIONS = """Found on the way, and not yet discussed with the authors: is it meant so? Each line is reproduced by
`rm.audit(rm.adapters.diffusers(diffusers.NAME, OPTION=...))`.
"""

_ASKED: list[tuple[str, dict[str, Any], str]] = [
    ("UniPCMultistepScheduler", {"solver_type": "bh1"}, "The last step goes to sigma = 0, whose logarithm it takes."),
    ("UniPCMultistepScheduler", {"predict_x0": False}, "The same."),
    ("UniPCMultistepScheduler", {"lower_order_final": False}, "The same."),
    (
        "EulerDiscreteScheduler", {"interpolation_type": "log_linear"},
        "The sigmas of the steps are interpolated in their logarithms between the ends, the timesteps linearly.",
    ),
    (
        "DDIMScheduler", {"timestep_spacing": "linspace"},
        "The step goes to t - 1000 // N, which is not the next timestep of the list (as reported in diffusers#12633).",
    ),
    ("DDIMScheduler", {"timestep_spacing": "trailing"}, "The same, where N does not divide 1000."),
    (
        "IPNDMScheduler", {},
        "The first step starts where alpha = 0, and what the network says there has no effect; the error falls with N.",
    ),
    ("PNDMScheduler", {}, "Where 1000/N is odd, half a step is rounded down in one place and up in the other."),
]  # fmt: skip
"""Schedulers and options with a question, and what the code seems to do."""


def main() -> None:
    """Audit them all and write the page."""
    import diffusers
    import torch

    file = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    warnings.simplefilter("ignore")
    diffusers.logging.set_verbosity_error()
    covariance = read_covariance("digits")
    data = rm.Gaussian(np.zeros(len(covariance)), covariance)
    delta = setting(data, _TV).early_stop
    digits = spectrum(data.at(delta))
    rows, unread, found = [], [], []
    for name, kind in schedulers(diffusers):
        try:
            if "Inverse" in name:
                raise ValueError("takes data to noise; as a sampler it would have to start from its end")
            family = rm.adapters.diffusers(kind)
            report = rm.audit(family, steps=_LADDER, variants=False)
        except (ValueError, TypeError) as error:
            unread.append(f"| {name} | {short(error)} |")
            continue
        print(name, file=sys.stderr)
        if all(rung.failure for rung in report.rungs):
            unread.append(f"| {name} | {short(report.rungs[0].failure)} |")
            continue
        rows.append("| " + " | ".join(line(name, report, least(family, digits))) + " |")
        found += [f"- `{name}`: {remark}" for remark in report.remarks if not remark.startswith("at N = ")]
    head = _HEAD.format(
        diffusers=metadata.version("diffusers"), torch=torch.__version__, rmverify=rm.__version__,
        date=datetime.date.today().isoformat(), delta=delta,
    )  # fmt: skip
    columns = ("scheduler", "evaluations", "order", "start", "at N = 160", "from an exact start", "calls", "digits")
    table = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *rows]
    others = ["| scheduler | why |", "|---|---|", *unread]
    asked = [question(getattr(diffusers, name), options, words) for name, options, words in _ASKED]
    blocks = [
        head,
        *table,
        "",
        "## Questions",
        "",
        _QUESTIONS,
        *asked,
        "",
        "## What the reports remark",
        "",
        *found,
        "",
        "## Not read",
        "",
        *others,
    ]
    file.write_text("\n".join(blocks) + "\n", encoding="utf-8")
    print(f"{file}: {len(rows)} schedulers, {len(unread)} not read", file=sys.stderr)


def schedulers(library: Any) -> Iterator[tuple[str, Any]]:
    """Every class of the library that ends in Scheduler and takes steps, by name."""
    for name in sorted(dir(library)):
        if name.endswith("Scheduler") and not name.startswith("Flax"):
            kind = getattr(library, name)
            members = {member for base in kind.__mro__ for member in vars(base)}
            if {"set_timesteps", "step"} <= members or getattr(kind, "_backends", None):  # the last lack a library
                yield name, kind


def question(kind: Any, options: dict[str, Any], words: str) -> str:
    """One line: what was found, and what it seems to come from."""
    family = rm.adapters.diffusers(kind, **options)
    report = rm.audit(family, steps=(13, 20, 40, 80, 160), variants=False)
    said = ", ".join(f"{key}={value!r}" for key, value in options.items())
    refuted = next((rung for rung in report.rungs if rung.bookkeeping == "refuted"), None)
    failed = next((rung for rung in report.rungs if rung.failure), None)
    if failed is not None:
        fact = f"N = {failed.steps}: {failed.failure}"
    elif refuted is not None:
        fact = f"N = {refuted.steps}: {refuted.why}"
    else:
        call = family(10).read(rm.Gaussian([2.0], [0.5])).bookkeeping()[1]
        fact = (
            f"N = 10, data of mean 2: model call 1, at level {call.level:.3g}, is handed a mean of {call.mean[0]:.3g} "
        )
        fact += f"where {call.due_mean[0]:.3g} is due"
    return f"- `{kind.__name__}({said})`: {fact}. {words}"


def line(name: str, report: rm.Audit, digits: str) -> Iterator[str]:
    """The cells of one scheduler."""
    last = next(rung for rung in reversed(report.rungs) if not rung.failure)
    curve = report.curves.get("shared") or report.curves.get("discretization")
    yield f"`{name.removesuffix('Scheduler')}`"
    yield report.evaluations
    order = math.nan if curve is None else curve.order
    yield "-" if math.isnan(order) else f"{order:.2f}" if curve.settled else f"({order:.2f})"
    for value in (last.effect, last.tv, last.last):
        yield "-" if value is None else value.text(2)
    verdicts = {rung.bookkeeping for rung in report.rungs if not rung.failure}
    yield "as named" if verdicts == {"holds"} else ", ".join(sorted(verdicts - {"holds"}))
    yield digits


def least(family: Any, target: rm.Gaussian) -> str:
    """Model evaluations of the least N that is within the total variation, from an exact start.

    N grows by a sixth from try to try, and between the last two tries every N is looked at.
    """

    def reached(steps: int) -> tuple[bool, int]:
        nonlocal best
        try:
            reading = family(steps).read(target)
            value = rm.tv(reading.law("exact"), reading.wanted)
        except Exception:  # a stranger's, at this N
            return False, 0
        best = min(best, float(value.lower))
        return value.upper <= _TV, reading.evaluations

    best, before, steps = 1.0, 1, 2
    while steps <= _MOST:
        good, evaluations = reached(steps)
        if good:
            for fewer in range(before + 1, steps):
                sooner, count = reached(fewer)
                if sooner:
                    return _counted(count, fewer)
            return _counted(evaluations, steps)
        before, steps = steps, max(steps + 1, steps * 7 // 6)
    return f"TV {best:.2g} at best"


def _counted(evaluations: int, steps: int) -> str:
    return str(evaluations) if evaluations == steps else f"{evaluations} (N = {steps})"


def short(error: Any) -> str:
    """A complaint on one line of a table."""
    text = str(error).splitlines()[0].removeprefix("sampler: ").replace("|", "\\|")
    return text.rpartition("is not read: ")[2].removesuffix("; if it is affine, write its loop as a Sampler")


if __name__ == "__main__":
    main()
