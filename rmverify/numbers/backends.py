"""What single array libraries do better than one operation after the other: the only room that knows them by name.

A scheme is written once, as operations on arrays, each of which reads its arguments from memory and writes its result
there. A compiler that sees all of them at once keeps what is in between in registers:

JAX   all steps of a stage are one compiled `lax.scan`; the scheme, the score and the random numbers are called once,
      while they are traced
CuPy  the twenty rounds of the generator, and a normal value from its words, are one kernel

Nothing is compiled that is not worth it, by how many numbers there are and never by the clock; and whatever cannot be
compiled (a score that calls NumPy, looks at a value, or is not the same function when called again) is run operation by
operation, with the same numbers but for rounding.
"""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_cupy_namespace, is_jax_array, is_jax_namespace

__all__ = ["Loop", "all_finite", "at_once", "copied", "fuses", "is_traced", "normals", "settled", "words"]

LEAST_WORK = 1 << 20
"""Numbers of x, counted at every step of a stage, from which on the stage is compiled; fewer are done before it is."""

CALLS = 1 << 16
"""What the calls of a step cost, in numbers of x: measured."""

LEAST_DRAWN = 1 << 19
"""Random numbers of one draw from which on what makes them is compiled."""

_KEPT = 32  # compiled stages, of which a later call may want one again


def fuses(xp: Any) -> bool:
    """Whether operations on the same elements become one loop over them, which costs what is computed, not what is
    stored in between."""
    return is_jax_namespace(xp) or (is_cupy_namespace(xp) and _kernel("normals") is not None)


def copied(x: Any) -> Any:
    """A copy of x, or x itself where nothing can change it."""
    return x if is_jax_array(x) else array_namespace(x).asarray(x, copy=True)


def all_finite(x: Any) -> bool:
    """Whether all numbers of x are finite."""
    xp = array_namespace(x)
    return bool(_jitted(_all_finite, 1)(xp, x) if is_jax_namespace(xp) else _all_finite(xp, x))


def _all_finite(xp: Any, x: Any) -> Any:
    return xp.all(xp.isfinite(x))


def is_traced(value: Any) -> bool:
    """Whether it is an array of numbers that are known only when compiled code runs."""
    if not is_jax_array(value):
        return False
    import jax

    return isinstance(value, jax.core.Tracer)


def settled(values: Any) -> Any:
    """The values, computed once and stored, where a compiler might compute them again wherever they are used."""
    if not is_traced(values):
        return values
    import jax

    return jax.lax.optimization_barrier(values)


# --- random numbers ---------------------------------------------------------------------------------------------------


def at_once(make: Callable[..., Any], static: tuple[Any, ...], words: tuple[Any, ...], size: int) -> Any:
    """``make(*static, *words)`` as one piece of compiled code, where its library does that and it is worth it.

    Parameters
    ----------
    make : callable
        Of this package: it depends on its arguments alone, and so is traced once.
    static : tuple
        A namespace, a device, and more that is hashable.
    words : tuple
        Python's integers, or arrays without axes, which may be traced.
    size : int
        How many numbers it makes.
    """
    xp, device = static[:2]
    traced = any(map(is_traced, words))
    if not is_jax_namespace(xp) or not (traced or size >= LEAST_DRAWN):
        return make(*static, *words)
    import jax

    if not traced:
        words = tuple(jax.device_put(np.uint32(word), device) for word in words)
    return _jitted(make, len(static))(xp, None, *static[2:], *words)


WORDS = """
    const unsigned int keys[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDAu};
    const int turns[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    unsigned int a = particle + k0, b = place + k1;
    for (int round = 0; round < 20; ++round) {
        a += b;
        b = (b << turns[round % 8]) | (b >> (32 - turns[round % 8]));
        b ^= a;
        if (round % 4 == 3) {
            const unsigned int j = round / 4 + 1;
            a += keys[j % 3];
            b += keys[(j + 1) % 3] + j;
        }
    }
"""
"""Threefry of the counter (particle, place) and the key (k0, k1), in C: the words a and b."""

NORMAL = """
    const int upper = sizeof(T) == 4 && a > 0x7FFFFFFFu;  // in single precision by the nearer of 0 and 1
    const T least = (T)(upper ? ~a : a) * (T)(1 / 4294967296.) + (T)(0.5 / 4294967296.);
    z = sqrt((T)(-2) * (upper ? log1p(-least) : log(least))) * sinpi((T)(int)(b + turn) * (T)(1 / 2147483648.));
"""
"""A normal value z of type T of the words: the sine of the angle b + turn, times its radius."""


def words(xp: Any, key: tuple[Any, Any], particle: Any, place: Any) -> tuple[Any, Any] | None:
    """Threefry's words of the counters by one kernel, None where the library has none or it fails."""
    kernel = _kernel("words") if is_cupy_namespace(xp) else None
    return None if kernel is None else kernel(particle, place, *map(np.uint32, key))


def normals(xp: Any, key: tuple[Any, Any], particle: Any, place: Any, turn: Any, dtype: Any) -> Any:
    """Normal values of the counters by one kernel, None where the library has none."""
    if not is_cupy_namespace(xp):
        return None
    shape = np.broadcast_shapes(particle.shape, place.shape)
    return _kernel("normals")(particle, place, turn, *map(np.uint32, key), xp.empty(shape, dtype=dtype))


@functools.cache
def _kernel(of: str) -> Any:
    """A kernel of CuPy, which must give the known answers of Random123 on the device, else None."""
    try:
        import cupy

        zero, key = cupy.zeros(1, dtype=cupy.uint32), "uint32 k0, uint32 k1"
        if of == "words":
            kernel = cupy.ElementwiseKernel(
                f"uint32 particle, uint32 place, {key}", "uint32 first, uint32 second",
                WORDS + "first = a; second = b;", "rmverify_words",
            )  # fmt: skip
            found = [int(word[0]) for word in kernel(zero, zero, np.uint32(0), np.uint32(0))]
            return kernel if found == _ANSWER else None
        kernel = cupy.ElementwiseKernel(
            f"uint32 particle, uint32 place, uint32 turn, {key}", "T z", WORDS + NORMAL, "rmverify_normals"
        )
        due = math.sqrt(-2 * math.log((_ANSWER[0] + 0.5) / 2**32)) * math.sin(2 * math.pi * _ANSWER[1] / 2**32)
        for dtype in (cupy.float32, cupy.float64):
            z = kernel(zero, zero, zero, np.uint32(0), np.uint32(0), cupy.empty(1, dtype=dtype))
            if not abs(float(z[0]) - due) < 16 * float(cupy.finfo(dtype).eps):
                return None
        return kernel
    except Exception:  # no compiler for kernels, say: array operations do the same
        return None


_ANSWER = [0x6B200159, 0x99BA4EFE]  # of the counter (0, 0) and the key (0, 0)


@functools.cache
def _jitted(make: Callable[..., Any], static: int) -> Any:
    import jax

    return jax.jit(make, static_argnums=tuple(range(static)))


# --- all steps of a stage ---------------------------------------------------------------------------------------------


class Loop:
    """The stages of one call of `sample`, each compiled as a whole where its library does that.

    Parameters
    ----------
    xp : namespace
        Of the particles.
    """

    def __init__(self, xp: Any) -> None:
        self._compiles = is_jax_namespace(xp)
        self._known: dict[Hashable, Any] = {}

    def __call__(
        self, walk: Any, x: Any, seed: tuple[int, int], first: int, number: int, levels: Any, lengths: Any
    ) -> Any:
        """The particles x after all steps of a stage, or None where they are to be made one by one.

        Parameters
        ----------
        walk
            What the stage does but for x, seed, numbers, levels and lengths; compiled once for all that are equal.
            ``walk.begin(x, seed, first, number)`` is the state before the first step, a tuple of arrays, x the first
            of them; ``walk.step(state, seed, first, number, t, h)`` that after one; ``walk.keeps`` whether an x that
            is not finite is never finite again.
        seed, first : (int, int), int
            The key of all random numbers, and the number of the first particle.
        number : int
            That of the draws before the first step; the steps have the next ones.
        levels, lengths : arrays, shape (N,)
            t and h of every step.

        Returns
        -------
        array or None
            None also where a particle is not finite any more after a step, so that the loop step by step tells which.
        """
        if not self._compiles or len(levels) * (x.size + CALLS) < LEAST_WORK or not _fine_enough(x, levels, lengths):
            return None
        arguments = _arguments(x, seed, first, number, levels, lengths)
        key = walk, tuple(x.shape), len(levels)
        if key not in self._known:
            self._known[key] = _scanned(walk, arguments)
        run = self._known[key]
        if run is None:
            return None
        x, finite = run(*arguments)
        return x if bool(finite) else None


def _fine_enough(x: Any, levels: Any, lengths: Any) -> bool:
    """Whether the levels may be numbers of x's precision: a step down to nearly 0 must not miss its end by much."""
    dtype = str(x.dtype)
    if dtype not in ("float32", "float64"):
        return False
    t, h = levels.astype(dtype), lengths.astype(dtype)
    end = levels - lengths
    return bool((abs((t - h).astype(float) - end) <= 2.0**-17 * abs(end) + np.finfo(float).eps).all())


def _arguments(x: Any, seed: tuple[int, int], first: int, number: int, levels: Any, lengths: Any) -> Any:
    import jax.numpy as jnp

    words = (np.array(seed, dtype=np.uint32), np.uint32(first), np.uint32(number))
    numbers = np.arange(number + 1, number + 1 + len(levels), dtype=np.uint32)
    rows = (numbers, levels.astype(str(x.dtype)), lengths.astype(str(x.dtype)))
    return x, tuple(map(jnp.asarray, words)), tuple(map(jnp.asarray, rows))


def _scanned(walk: Any, arguments: Any) -> Any:
    """The compiled loop, None where it cannot be traced or is not the same when traced again."""
    import jax
    import jax.numpy as jnp

    def traced() -> Any:
        def whole(x: Any, words: Any, rows: Any) -> Any:
            seed, first, number = words

            def body(carry: Any, row: Any) -> Any:
                state, finite = carry
                state = walk.step(state, (seed[0], seed[1]), first, *row)
                if not walk.keeps:
                    finite = finite & jnp.all(jnp.isfinite(state[0]))
                return (state, finite), None

            state = walk.begin(x, (seed[0], seed[1]), first, number)
            finite = jnp.asarray(True) if walk.keeps else jnp.all(jnp.isfinite(x))
            (state, finite), _ = jax.lax.scan(body, (state, finite), rows)
            return state[0], finite & jnp.all(jnp.isfinite(state[0]))

        return jax.jit(whole).trace(*arguments)

    try:
        once = traced()
        code = _code(once.jaxpr)
        if (found := _COMPILED.get(code)) is not None:
            return found
        if not _equal(code, _code(traced().jaxpr)):
            return None  # random numbers of its own, or something kept from one call to the next
        return _COMPILED.put(code, once.lower().compile())
    except Exception:  # whatever is wrong, the loop step by step either does without or tells it better
        return None


Code = tuple[str, list[Any]]


class _Compiled:
    """The compiled loops that were used last, by all that they depend on: their code and its constants.

    A score is not asked whether it is the same object as before, as what it holds may have been changed.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Code, Any]] = OrderedDict()

    def get(self, code: Code) -> Any:
        known, run = self._kept.get(code[0], (code, None))
        if run is None or not _equal(known, code):
            return None
        self._kept.move_to_end(code[0])
        return run

    def put(self, code: Code, run: Any) -> Any:
        self._kept[code[0]] = code, run
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return run


_COMPILED = _Compiled()


def _code(closed: Any) -> Code:
    """The text of what was traced, and the arrays in it, which the text does not show: those of inner functions too."""
    constants, rest = [], [closed]
    while rest:
        part = rest.pop()
        if isinstance(part, tuple | list):
            rest += part
        elif hasattr(part, "consts"):  # a function that was traced, with its constants
            constants += part.consts
            rest.append(part.jaxpr)
        elif hasattr(part, "eqns"):
            for equation in part.eqns:
                constants += [one.val for one in equation.invars if hasattr(one, "val")]
                rest += equation.params.values()
    return str(closed), constants


def _equal(one: Code, other: Code) -> bool:
    """Whether the texts are the same, and so are the bits of the arrays."""
    if one[0] != other[0] or len(one[1]) != len(other[1]):
        return False
    return all(a is b or _bits(a) == _bits(b) for a, b in zip(one[1], other[1], strict=True))


def _bits(value: Any) -> tuple[str, tuple[int, ...], bytes]:
    array = np.asarray(value)
    return str(array.dtype), array.shape, array.tobytes()
