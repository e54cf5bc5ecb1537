r"""Random numbers by counting, the same on every backend: number c of stream k is a function of the seed, k and c.

A generator with a state gives other numbers when particles are cut into chunks, or spread over threads or machines, and
every library has its own. Threefry-2x32 (Salmon, Moraes, Dror, Shaw 2011; the generator of JAX) encrypts a counter
instead: twenty rounds of additions, rotations and exclusive ors on 32-bit integers, which every backend has. A particle
gets the numbers of its own counters, whoever computes them.

Two words w make two normal values, r cos(a) and r sin(a) with r = sqrt(-2 ln((w_0 + 1/2)/2^32)), a = 2 pi w_1/2^32, of
which the largest possible is 6.8; one word makes a uniform value, (w_0 + 1/2)/2^32.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from array_api_compat import is_numpy_namespace, is_torch_namespace

from rmverify.numbers.checks import Array

__all__ = ["Stream", "seed_words", "threefry"]

Words = tuple[Any, Any]

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_ROUNDS = 20
_MASK = 0xFFFFFFFF


def seed_words(rng: np.random.Generator) -> tuple[int, int]:
    """The key that a generator stands for, which moves on by it."""
    first, second = rng.integers(1 << 32, size=2, dtype=np.uint64).tolist()
    return first, second


def threefry(key: Words, x: Words, unsigned: bool = True) -> Words:
    """Two words x, arrays or numbers of 32-bit integers, encrypted under a key of two.

    Parameters
    ----------
    key, x : pairs of Python's integers, or of arrays of uint32
    unsigned : bool
        Whether the arrays are unsigned; otherwise they are int32, whose bits are the same.

    Examples
    --------
    The known answers of Random123:

    >>> [f"{word:x}" for word in threefry((0, 0), (0, 0))]
    ['6b200159', '99ba4efe']
    """
    plain = isinstance(x[0], int) and isinstance(key[0], int)

    def cut(z: Any) -> Any:
        return z & _MASK if plain else z

    def turned(z: Any, r: int) -> Any:
        low = z >> (32 - r)
        return cut(z << r) | (low if unsigned else low & ((1 << r) - 1))

    parity = _PARITY if plain or unsigned or isinstance(key[0], int) else _signed(_PARITY)
    keys = [key[0], key[1], key[0] ^ key[1] ^ parity]
    a, b = cut(x[0] + _fit(keys[0], x[0], unsigned)), cut(x[1] + _fit(keys[1], x[1], unsigned))
    for n in range(_ROUNDS):
        a = cut(a + b)
        b = turned(b, _ROTATIONS[n % 8]) ^ a
        if n % 4 == 3:
            j = n // 4 + 1
            a = cut(a + _fit(keys[j % 3], a, unsigned))
            b = cut(b + _fit(keys[(j + 1) % 3] + j, b, unsigned))
    return a, b


def _signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def _fit(word: Any, x: Any, unsigned: bool) -> Any:
    """A key as what can be added to x."""
    if not isinstance(word, int):
        return word
    word &= _MASK
    if isinstance(x, int):
        return word
    return word if unsigned else _signed(word)


class Stream:
    """The numbers of one draw, particle by particle, as arrays of a namespace, dtype and device.

    Parameters
    ----------
    key : pair of int, or of 0-d arrays
    first : int
        The number of the first particle.
    xp, dtype, device
        Of the arrays.
    """

    def __init__(self, key: Words, first: int, xp: Any, dtype: Any, device: Any) -> None:
        self._key, self._first, self._xp, self._dtype, self._device = key, first, xp, dtype, device

    def random(self, shape: tuple[int, ...]) -> Any:
        """Uniform values in (0, 1), of shape (particles, ...)."""
        per = math.prod(shape[1:])
        if self._native:
            return _uniform(self._key, self._first * per, shape[0] * per).astype(self._dtype, copy=False).reshape(shape)
        a, _ = self._words(shape[0] * per, per)
        return self._xp.reshape(self._unit(a), shape)

    def standard_normal(self, shape: tuple[int, ...]) -> Any:
        """Standard normal values, of shape (particles, ...)."""
        count, per = shape[0], math.prod(shape[1:])
        half = (per + 1) // 2
        xp = self._xp
        if self._native:
            drawn = np.empty((count, per), dtype=self._dtype)
            for part, values in zip(
                (slice(0, half), slice(half, per)), _normal(self._key, self._first * half, count * half)
            ):
                drawn[:, part] = values.reshape(count, half)[:, : drawn[:, part].shape[1]]
            return drawn.reshape(shape)
        a, b = self._words(count * half, half)
        radius, angle = xp.sqrt(-2 * xp.log(self._unit(a))), 2 * math.pi * self._unit(b, 0.0)
        parts = [xp.reshape(radius * of(angle), (count, half)) for of in (xp.cos, xp.sin)]
        return xp.reshape(xp.concat(parts, axis=1)[:, :per], shape)

    @property
    def _native(self) -> bool:
        return is_numpy_namespace(self._xp) and isinstance(self._key[0], int)

    def _words(self, size: int, per: int) -> Words:
        xp, start = self._xp, self._first * per
        unsigned = not is_torch_namespace(xp)
        kind = xp.uint32 if unsigned else xp.int32
        low, high = start & _MASK, start >> 32
        base = xp.arange(size, dtype=kind, device=self._device)
        zero = xp.zeros(size, dtype=kind, device=self._device)
        x = base + _fit(low, base, unsigned), zero + _fit(high, base, unsigned)
        if low + size > 1 << 32:  # the lower word runs over
            x = x[0], x[1] + xp.astype(base >= _fit((1 << 32) - low, base, True), kind)
        return threefry(self._key, x, unsigned)

    def _unit(self, words: Any, shift: float = 0.5) -> Any:
        """(w + shift)/2^32 in the dtype of the stream."""
        xp = self._xp
        values = xp.astype(words, self._dtype)
        if is_torch_namespace(xp):
            values = xp.where(words < 0, values + 2.0**32, values)
        return values * 2.0**-32 + shift * 2.0**-32


# --- NumPy: in place, on pieces that fit the cache --------------------------------------------------------------------

_PIECE = 1 << 14  # words at once

# sin(pi v/2)/v and cos(pi v/2) by powers of v^2, highest first, for |v| <= 1/2: what is cut off is below 2^-56
_SIN = tuple((-1) ** k * (math.pi / 2) ** (2 * k + 1) / math.factorial(2 * k + 1) for k in reversed(range(8)))
_COS = tuple((-1) ** k * (math.pi / 2) ** (2 * k) / math.factorial(2 * k) for k in reversed(range(9)))
_COS_SIGN, _SIN_SIGN = np.array([1.0, -1.0, -1.0, 1.0]), np.array([1.0, 1.0, -1.0, -1.0])


class _Room(threading.local):
    """Arrays to work in, one set for each thread."""

    def __init__(self) -> None:
        self.count = np.arange(_PIECE, dtype=np.uint32)
        self.words = [np.empty(_PIECE, dtype=np.uint32) for _ in range(3)]
        self.floats = [np.empty(_PIECE) for _ in range(5)]


_ROOM = _Room()


def _encrypted(key: tuple[int, int], start: int, size: int) -> tuple[Array, Array, Array]:
    """The words of the counters start, ..., start + size - 1, at most a piece of them, and a third array to work in."""
    a, b, c = (word[:size] for word in _ROOM.words)
    low, high = start & _MASK, start >> 32
    np.add(_ROOM.count[:size], np.uint32(low), out=a)
    b.fill(high)
    if low + size > 1 << 32:
        b[(1 << 32) - low :] += np.uint32(1)
    keys = (*key, key[0] ^ key[1] ^ _PARITY)
    np.add(a, np.uint32(keys[0]), out=a)
    np.add(b, np.uint32(keys[1]), out=b)
    for n in range(_ROUNDS):
        r = _ROTATIONS[n % 8]
        np.add(a, b, out=a)
        np.right_shift(b, np.uint32(32 - r), out=c)
        np.left_shift(b, np.uint32(r), out=b)
        np.bitwise_or(b, c, out=b)
        np.bitwise_xor(b, a, out=b)
        if n % 4 == 3:
            j = n // 4 + 1
            np.add(a, np.uint32(keys[j % 3]), out=a)
            np.add(b, np.uint32((keys[(j + 1) % 3] + j) & _MASK), out=b)
    return a, b, c


def _unit(words: Array, out: Array) -> None:
    np.multiply(words, 2.0**-32, out=out)
    np.add(out, 2.0**-33, out=out)


def _uniform(key: tuple[int, int], start: int, size: int) -> Array:
    out = np.empty(size)
    for k in range(0, size, _PIECE):
        part = out[k : k + _PIECE]
        _unit(_encrypted(key, start + k, part.size)[0], part)
    return out


def _normal(key: tuple[int, int], start: int, size: int) -> tuple[Array, Array]:
    """r cos(a) and r sin(a) of so many counters."""
    found = np.empty((2, size))
    for k in range(0, size, _PIECE):
        cosine, sine = found[:, k : k + _PIECE]
        a, b, c = _encrypted(key, start + k, cosine.size)
        radius, turn, square, p, q = (room[: cosine.size] for room in _ROOM.floats)
        _unit(a, radius)
        np.log(radius, out=radius)
        np.multiply(radius, -2, out=radius)
        np.sqrt(radius, out=radius)
        # the nearest quadrant, and in units of one how far from it, in [-1/2, 1/2)
        np.left_shift(b, np.uint32(2), out=c)
        np.multiply(c.view(np.int32), 2.0**-32, out=turn)
        np.add(b, np.uint32(1 << 29), out=b)
        np.right_shift(b, np.uint32(30), out=b)
        np.multiply(turn, turn, out=square)
        for series, into in ((_SIN, p), (_COS, q)):
            into.fill(series[0])
            for coefficient in series[1:]:
                np.multiply(into, square, out=into)
                np.add(into, coefficient, out=into)
        np.multiply(p, turn, out=p)
        np.multiply(p, radius, out=p)
        np.multiply(q, radius, out=q)
        odd = (b & np.uint32(1)).astype(bool)
        np.copyto(cosine, q)
        np.copyto(cosine, p, where=odd)
        np.copyto(sine, p)
        np.copyto(sine, q, where=odd)
        np.multiply(cosine, _COS_SIGN[b], out=cosine)
        np.multiply(sine, _SIN_SIGN[b], out=sine)
    return found[0], found[1]
