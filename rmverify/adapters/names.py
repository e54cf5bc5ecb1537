"""What a command line names, `module:name` or `file.py:name`, as a sampler of N steps or a kernel."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

from rmverify.adapters.family import Family
from rmverify.adapters.functions import k_diffusion, takes_sigmas
from rmverify.adapters.schedulers import diffusers
from rmverify.samplers import Kernel, Sampler

__all__ = ["named"]

_LIBRARIES = {
    "blackjax": "blackjax", "diffrax": "diffrax", "diffusers": "diffusers", "flax": "flax", "jax": "jax",
    "k_diffusion": "k-diffusion", "torch": "torch", "torchsde": "torchsde",
}  # fmt: skip


def named(text: str) -> Family | Sampler | Kernel:
    """The sampler of a name: a `Family`, `Sampler` or `Kernel`, a function make(N) of the first two, a scheduler of
    diffusers (class or object), or a function sample(model, x, sigmas) as k-diffusion has them.

    Parameters
    ----------
    text : str
        ``module:name``, where the working directory is searched first, or ``file.py:name``; name may have dots.

    Raises
    ------
    ValueError
        In one line, where module, name or a library is missing, or the object is none of these.

    Examples
    --------
    >>> from rmverify import adapters
    >>> adapters.named("math:pi")
    Traceback (most recent call last):
    ValueError: sampler: math:pi is a float; expected a function make(N), a Sampler, a Kernel, ...
    """
    place, colon, name = text.rpartition(":")
    if not (colon and place and name):
        raise ValueError(f"sampler: expected module:name or file.py:name, got {text!r}")
    found: Any = _file(place) if place.endswith(".py") else _module(place)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = difflib.get_close_matches(part, dir(found), 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"sampler: {place} has no {part}{meant}") from None
        except Exception as error:  # lazy modules import here
            raise ValueError(f"sampler: {text}: {_missing(error) or _line(error)}") from error
    return _sampler(found, text)


def _sampler(found: Any, text: str) -> Family | Sampler | Kernel:
    if isinstance(found, Family | Sampler | Kernel):
        return found
    kind = found if isinstance(found, type) else type(found)
    if callable(getattr(kind, "step", None)) or callable(getattr(kind, "set_timesteps", None)):
        return diffusers(found)
    if takes_sigmas(found):
        return k_diffusion(found)
    if not isinstance(found, type) and callable(found) and _of_one(found):
        return Family(found, text.rpartition(":")[2])
    _of_absent(found, text)
    expected = (
        "a function make(N), a Sampler, a Kernel, a scheduler of diffusers or a function sample(model, x, sigmas)"
    )
    what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
    raise ValueError(f"sampler: {text} is {what}; expected {expected}")


def _of_one(function: Any) -> bool:
    try:
        wanted = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):
        return False
    return len(wanted) == 1 and wanted[0].kind in (wanted[0].POSITIONAL_ONLY, wanted[0].POSITIONAL_OR_KEYWORD)


def _of_absent(found: Any, text: str) -> None:
    """Refuse what diffusers has in place of classes whose requirements are missing."""
    needs = getattr(found, "_backends", None)
    if isinstance(found, type) and isinstance(needs, list):
        absent = [name for name in needs if importlib.util.find_spec(name) is None]
        if absent:
            raise ValueError(f"sampler: {text} needs {', '.join(absent)}; pip install {' '.join(absent)}")


@contextlib.contextmanager
def _beside(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _module(name: str) -> Any:
    with _beside(os.getcwd()):
        try:
            return importlib.import_module(name)
        except Exception as error:
            raise ValueError(f"sampler: {_missing(error) or f'importing {name} raised {_line(error)}'}") from error


def _file(name: str) -> Any:
    file = File(name)
    if not file.is_file():
        raise ValueError(f"sampler: there is no file {name}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"sampler: expected {name} to be a Python file")
    module = importlib.util.module_from_spec(spec)
    with _beside(str(file.resolve().parent)):
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise ValueError(f"sampler: {_missing(error) or f'running {name} raised {_line(error)}'}") from error
    return module


def _missing(error: BaseException) -> str:
    """In words, if it is for want of a module."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    top = error.name.partition(".")[0]
    install = f"; pip install {_LIBRARIES[top]}" if top in _LIBRARIES else ""
    return f"there is no module {error.name}{install}"


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
