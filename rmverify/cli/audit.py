"""``rmverify audit``: what comes out of a sampler that somebody else wrote, and what is its error made of?"""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from rmverify.cli.options import add_command, add_data, name_of, real, target_of, whole
from rmverify.cli.output import Exit, Usage, complain, progress, width, writable, write

_CODES = {"holds": Exit.VERIFIED, "refuted": Exit.REFUTED, "inconclusive": Exit.INCONCLUSIVE}


def add(commands: Any) -> None:
    """The command and its options."""
    audit = add_command(
        commands, "audit", "the errors of a sampler of another library, or of your own", run,
        "rmverify audit diffusers:HeunDiscreteScheduler\n"
        "  rmverify audit my_sampler.py:make digits --order 2 --html audit.html\n"
        "  rmverify audit my_package.kernels:make --unbiased",
    )  # fmt: skip
    audit.add_argument(
        "sampler", metavar="SAMPLER",
        help="module:name or file.py:name of a scheduler, or of a function make(N) that returns an rmverify.Sampler or "
        "Kernel; it is imported and run",
    )  # fmt: skip
    add_data(audit, help="CSV or NPY file, or the name digits; default: a Gaussian in dimension 8", needed=False)
    audit.add_argument(
        "--steps", type=whole(1), nargs="+", metavar="N", help="the ladder of N; default: 10 20 40 100 200 500"
    )
    audit.add_argument("--odd", type=whole(1), nargs="*", metavar="N", help="other N beside it; default: 7 13 31")
    audit.add_argument("--order", type=real(0, 20), metavar="P", help="declare: the discretization error falls as N^-P")
    audit.add_argument(
        "--unbiased", action="store_true",
        help="declare: from an exact start the target comes out, or is left invariant by the kernel",
    )  # fmt: skip
    audit.add_argument("--bookkeeping", action="store_true", help="declare: each model call is at the level it names")
    audit.add_argument("--workers", type=whole(1), default=1, metavar="N", help="processes")
    audit.add_argument("--no-variants", action="store_true", help="do not look at the variants that the object offers")
    audit.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the tables")
    audit.add_argument("--html", metavar="FILE", help="one self-contained page with tables and a picture")


def run(options: argparse.Namespace) -> int:
    from rmverify.io import atomic_write
    from rmverify.studies.audit import ODD, STEPS, audit
    from rmverify.tasks import Gone, pool
    from rmverify.views import audit as view
    from rmverify.views.common import document

    if options.html is not None:
        writable("--html", options.html, ("html", "htm"))
    target = target_of(options)
    try:
        with _calm():
            make = _named(options.sampler)
            with progress(options) as tell, pool(options.workers) as workers:
                found = audit(
                    make, target, steps=options.steps or STEPS, odd=ODD if options.odd is None else options.odd,
                    order=options.order, unbiased=options.unbiased, bookkeeping=options.bookkeeping,
                    variants=not options.no_variants, name=getattr(make, "name", "") or options.sampler, progress=tell,
                    executor=None if options.workers == 1 else _Calm(workers), workers=options.workers,
                )  # fmt: skip
    except Gone as error:
        return complain(str(error), Exit.INTERNAL)
    data = "the default: Gaussian in dimension 8, variances 0.02 to 9" if target is None else name_of(options)
    if options.html is not None:
        atomic_write(options.html, view.html_page(found, data))
    columns = width()
    write(options, {"json": lambda: document("audit", view.as_record(found, data))},
          lambda: view.shown(found, data, columns))  # fmt: skip
    if all(rung.failure for rung in found.rungs):
        return Exit.INCONCLUSIVE
    return _CODES[found.verdict]


def _named(text: str) -> Any:
    from rmverify.adapters import named
    from rmverify.samplers import Kernel, Sampler

    try:
        made = named(text)
    except ValueError as error:
        raise Usage(str(error)) from None
    return made if isinstance(made, Sampler | Kernel) else _ByName(text, made)


class _ByName:
    """A function make(N) that other processes get by its name: what it is made of may be no data."""

    def __init__(self, text: str, made: Any) -> None:
        self._text, self._made = text, made

    def __call__(self, N: int) -> Any:
        return self._made(N)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def __reduce__(self) -> Any:
        return _again, (self._text,)


@functools.cache
def _again(text: str) -> Any:
    from rmverify.adapters import named

    with _calm():
        return named(text)


class _Calm(Executor):
    """Workers that leave stdout alone."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._pool.submit(_calmly, fn, args, kwargs)


def _calmly(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with _calm():
        return fn(*args, **kwargs)


@contextlib.contextmanager
def _calm() -> Any:
    """What libraries print, warn of and log in hundreds of runs is not the answer: stdout is ours alone."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
