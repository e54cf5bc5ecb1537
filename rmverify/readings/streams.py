r"""Random numbers by counting, the same on every backend: a function of the seed, the draw, the particle and the place.

A generator with a state gives other numbers when particles are cut into chunks, or spread over threads or machines, and
every library has its own. Threefry-2x32 (Salmon, Moraes, Dror, Shaw 2011; the generator of JAX) encrypts a counter
instead: twenty rounds of additions, rotations and exclusive ors on 32-bit integers, which every backend has. The
counter is (number of the particle, place among its numbers) and the key that of the draw, so a particle gets its own
numbers, whoever computes them.

The two words w of a counter make two normal values, r cos(a) and r sin(a) with r = sqrt(-2 ln((w_0 + 1/2)/2^32)) and
a = 2 pi w_1/2^32, of which the largest possible is 6.8; the first makes a uniform value, (w_0 + 1/2)/2^32.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace, is_torch_namespace

from rmverify.numbers.backends import at_once, fuses, normals, settled, words
from rmverify.numbers.checks import Array

__all__ = ["MOST_PARTICLES", "Stream", "key_of", "seed_words", "threefry"]

Words = tuple[Any, Any]

MOST_PARTICLES = 1 << 32
"""The numbers of particles are words."""

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_ROUNDS = 20
_MASK = 0xFFFFFFFF


def seed_words(rng: np.random.Generator) -> tuple[int, int]:
    """The key that a generator stands for, which moves on by it."""
    first, second = rng.integers(1 << 32, size=2, dtype=np.uint64).tolist()
    return first, second


def key_of(seed: Words, step: Any, draw: int) -> Words:
    """The key of one draw of one step. The number of the step may be an array without axes, of uint32 (of int32 where
    it is PyTorch's).

    Examples
    --------
    >>> key_of((1, 2), 3, 4) == threefry((1, 2), (3, 4))
    True
    """
    if isinstance(step, int) and isinstance(seed[0], int):
        return _key(seed, step, draw)
    a, b = at_once(_traced_key, (array_namespace(step), None, draw), (step, *seed), 2)
    return a, b


def _traced_key(xp: Any, device: None, draw: int, step: Any, *seed: Any) -> Words:
    return threefry((seed[0], seed[1]), (step, 0 * step + draw), not is_torch_namespace(xp))


@functools.lru_cache(maxsize=1 << 14)  # every tile asks again
def _key(seed: tuple[int, int], step: int, draw: int) -> Words:
    return threefry(seed, (step, draw))


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
    a, b = cut(_plus(x[0], keys[0], unsigned)), cut(_plus(x[1], keys[1], unsigned))
    for n in range(_ROUNDS):
        a = cut(a + b)
        b = turned(b, _ROTATIONS[n % 8]) ^ a
        if n % 4 == 3:
            j = n // 4 + 1
            a = cut(_plus(a, keys[j % 3], unsigned))
            b = cut(_plus(b, keys[(j + 1) % 3] + j, unsigned))
    return a, b


def _signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def _plus(x: Any, word: Any, unsigned: bool) -> Any:
    """x + word, modulo 2^32 where x is an array; without numbers of 32 bits, which JAX takes in 64-bit mode only."""
    if not isinstance(word, int) or isinstance(x, int):
        return x + word
    word &= _MASK
    if not unsigned:
        return x + _signed(word)
    if word == 1 << 31:
        return x + (1 << 30) + (1 << 30)
    return x + word if word < 1 << 31 else x - ((1 << 32) - word)


class Stream:
    """The numbers of one draw, particle by particle, as arrays of a namespace, dtype and device.

    Parameters
    ----------
    key : pair of int, or of arrays without axes
    first : int
        The number of the first particle.
    xp, dtype, device
        Of the arrays.

    Examples
    --------
    Particle 7 has its numbers, whichever is the first that is asked for:

    >>> whole, part = (Stream((1, 2), first, np, np.float64, "cpu").random((8 - first, 1)) for first in (0, 7))
    >>> bool(whole[7, 0] == part[0, 0])
    True
    """

    def __init__(self, key: Words, first: int, xp: Any, dtype: Any, device: Any) -> None:
        self._key, self._first, self._xp, self._dtype, self._device = key, first, xp, dtype, device

    def random(self, shape: tuple[int, ...]) -> Any:
        """Uniform values in (0, 1), of shape (particles, ...)."""
        if self._native:
            return self._laid(_uniform(self._key, self._first, shape[0], math.prod(shape[1:])), shape)
        return self._made("_random", shape)

    def standard_exponential(self, shape: tuple[int, ...]) -> Any:
        """Durations of mean 1, of shape (particles, ...), the largest possible 22.9."""
        if self._native:
            return self._laid(-np.log(_uniform(self._key, self._first, shape[0], math.prod(shape[1:]))), shape)
        return self._made("_exponential", shape)

    def standard_normal(self, shape: tuple[int, ...]) -> Any:
        """Standard normal values, of shape (particles, ...); of NumPy's, the particles lie side by side."""
        if self._native:
            return self._laid(_normal(self._key, self._first, shape[0], math.prod(shape[1:])), shape)
        return self._made("_gaussian", shape)

    def _made(self, kind: str, shape: tuple[int, ...]) -> Any:
        static = self._xp, self._device, self._dtype, type(self), kind, shape
        return at_once(_filled, static, (self._first, *self._key), math.prod(shape))

    def _random(self, shape: tuple[int, ...]) -> Any:
        values = self._unit(self._words(shape[0], self._places(math.prod(shape[1:])))[0])
        if not self._double:
            values = values * (1 - 2.0**-24)  # the largest are rounded to 1
        return self._shaped(values, shape)

    def _exponential(self, shape: tuple[int, ...]) -> Any:
        return self._shaped(self._surprise(self._words(shape[0], self._places(math.prod(shape[1:])))[0]), shape)

    def _gaussian(self, shape: tuple[int, ...]) -> Any:
        xp, per = self._xp, math.prod(shape[1:])
        half = (per + 1) // 2
        if fuses(xp):
            return settled(self._shaped(self._by_element(shape[0], np.arange(per), half), shape))
        a, b = self._words(shape[0], self._places(half))
        radius, turn = xp.sqrt(2 * self._surprise(a)), 2 * math.pi * 2.0**-32 * xp.astype(b, self._working)
        return self._shaped(xp.concat([radius * xp.cos(turn), radius * xp.sin(turn)], axis=1)[:, :per], shape)

    def _by_element(self, count: int, places: Any, half: int) -> Any:
        """Each value from words of its own, made again sooner than they are read, with cos(a) = sin(a + pi/2)."""
        xp = self._xp
        place, turn = (
            xp.asarray(values, dtype=xp.uint32, device=self._device)
            for values in (places % half, np.where(places < half, 1 << 30, 0))
        )
        made = normals(xp, self._key, self._particles(count)[:, None], place[None, :], turn[None, :], self._working)
        if made is not None:
            return made
        a, b = self._words(count, place)
        return xp.sqrt(2 * self._surprise(a)) * self._sine(b + turn)

    def _sine(self, words: Any) -> Any:
        """sin(a) of a = 2 pi w/2^32, by p = sqrt(2) sin(a/4)."""
        xp = self._xp
        half = xp.astype(xp.astype(words, xp.int32), self._working) * 2.0**-31  # a/pi, in [-1, 1)
        square, power = half * half, _SINE_OF_HALF[0]
        for coefficient in _SINE_OF_HALF[1:]:
            power = power * square + coefficient
        power = power * half
        square = power * power
        return 2 * power * xp.sqrt(2 - square) * (1 - square)

    @property
    def _native(self) -> bool:
        return is_numpy_namespace(self._xp) and isinstance(self._key[0], int)

    def _laid(self, rows: Array, shape: tuple[int, ...]) -> Array:
        """Rows of one place each as an array (particles, ...)."""
        rows = rows.astype(self._dtype, copy=False).reshape(*shape[1:], shape[0])
        return np.moveaxis(rows, -1, 0)

    def _shaped(self, values: Any, shape: tuple[int, ...]) -> Any:
        return self._xp.reshape(self._xp.astype(values, self._dtype), shape)

    @functools.cached_property
    def _double(self) -> bool:
        return bool(self._xp.finfo(self._dtype).bits == 64)

    @property
    def _working(self) -> Any:
        return self._xp.float64 if self._double else self._xp.float32

    @property
    def _word(self) -> Any:
        return self._xp.uint32 if self._unsigned else self._xp.int32

    @property
    def _unsigned(self) -> bool:
        return not is_torch_namespace(self._xp)  # whose unsigned integers cannot be shifted

    def _places(self, count: int) -> Any:
        return self._xp.arange(count, dtype=self._word, device=self._device)

    def _particles(self, count: int) -> Any:
        number = self._places(count)
        return _plus(number, self._first, self._unsigned)

    def _words(self, count: int, place: Any) -> Words:
        """The words of so many particles and of these places, (count, places) each."""
        xp, particle, place = self._xp, self._particles(count)[:, None], place[None, :]
        made = words(xp, self._key, particle, place)
        if made is not None:
            return made
        shape = count, place.shape[1]
        return threefry(self._key, (xp.broadcast_to(particle, shape), xp.broadcast_to(place, shape)), self._unsigned)

    def _unit(self, words: Any) -> Any:
        """(w + 1/2)/2^32."""
        values = self._xp.astype(words, self._working)
        if not self._unsigned:
            values = self._xp.where(words < 0, values + 2.0**32, values)
        return values * 2.0**-32 + 2.0**-33

    def _surprise(self, words: Any) -> Any:
        """-ln((w + 1/2)/2^32); in single precision by the distance to the nearer of 0 and 1, which is not rounded."""
        xp = self._xp
        if self._double:
            return -xp.log(self._unit(words))
        below = (words >> 31) == 0
        near = self._unit(xp.where(below, words, ~words))
        return -xp.where(below, xp.log(near), xp.log1p(-near))


def _filled(xp: Any, device: Any, dtype: Any, of: type[Stream], kind: str, shape: Any, first: Any, *key: Any) -> Any:
    return getattr(of((key[0], key[1]), first, xp, dtype, device), kind)(shape)


# --- NumPy: in place, on pieces that fit the cache --------------------------------------------------------------------

_PIECE = 1 << 15  # words at once: measured, fewer cost more calls and more do not fit


def _sine(terms: int = 7) -> list[Array]:
    """sqrt(2) sin(pi c/2^33)/c for |c| <= 2^31 by powers of c^2, highest first: what is left out is below 2^-56."""
    powers = np.arange(terms)
    square = np.cos(np.pi * (powers + 0.5) / terms) / 2 + 0.5  # (c/2^31)^2 at Chebyshev's points
    values = np.sqrt(2) * np.sin(np.pi / 4 * np.sqrt(square)) / np.sqrt(square)
    found = np.linalg.solve(square[:, None] ** powers, values) * 2.0 ** (-31 * (2 * powers + 1))
    return [np.array(coefficient) for coefficient in found[::-1]]


_SINE = _sine()
_SINE_OF_HALF = [float(c) * 2.0 ** (31 * (2 * k + 1)) for k, c in zip(range(len(_SINE))[::-1], _SINE, strict=True)]
# constants as arrays: NumPy's numbers take longer than a thousand additions
_HALF, _ONE, _TWO, _WORD, _EIGHT = (np.array(value) for value in (0.5, 1.0, 2.0, 2.0**-32, -8.0))
_TURNS = [(np.array(r, dtype=np.uint32), np.array(32 - r, dtype=np.uint32)) for r in _ROTATIONS]


class _Room(threading.local):
    """Arrays to work in, one set for each thread."""

    def __init__(self) -> None:
        self.words = [np.empty(_PIECE, dtype=np.uint32) for _ in range(3)]
        self.floats = [np.empty(_PIECE) for _ in range(3)]


_ROOM = _Room()


def _pieces(count: int, per: int) -> Iterator[tuple[slice, slice]]:
    """Rows of places and columns of particles, a piece of counters each at most."""
    columns = min(count, _PIECE)
    rows = _PIECE // columns
    for place in range(0, per, rows):
        for k in range(0, count, columns):
            yield slice(place, min(per, place + rows)), slice(k, min(count, k + columns))


def _encrypted(key: tuple[int, int], first: int, rows: slice, columns: slice) -> tuple[Any, Any]:
    """The words of the counters (first + column, row), row by row."""
    shape = rows.stop - rows.start, columns.stop - columns.start
    a, b, c = (word[: shape[0] * shape[1]] for word in _ROOM.words)
    keys = (*key, key[0] ^ key[1] ^ _PARITY)
    start = first + columns.start + keys[0]
    a.reshape(shape)[:] = np.arange(shape[1], dtype=np.uint32) + np.uint32(start & _MASK)
    b.reshape(shape)[:] = (np.arange(rows.start, rows.stop, dtype=np.uint32) + np.uint32(keys[1]))[:, None]
    add, left, right, either, differ = np.add, np.left_shift, np.right_shift, np.bitwise_or, np.bitwise_xor
    for n in range(_ROUNDS):
        turn, back = _TURNS[n % 8]
        add(a, b, a)
        right(b, back, c)
        left(b, turn, b)
        either(b, c, b)
        differ(b, a, b)
        if n % 4 == 3:
            j = n // 4 + 1
            add(a, np.array(keys[j % 3], dtype=np.uint32), a)
            add(b, np.array((keys[(j + 1) % 3] + j) & _MASK, dtype=np.uint32), b)
    return a, b


def _unit(words: Any, out: Array) -> None:
    np.copyto(out, words)
    np.add(out, _HALF, out)
    np.multiply(out, _WORD, out)


def _uniform(key: tuple[int, int], first: int, count: int, per: int) -> Array:
    """Of shape (per, count)."""
    found = np.empty((per, count))
    for rows, columns in _pieces(count, per):
        part = found[rows, columns]
        _unit(_encrypted(key, first, rows, columns)[0].reshape(part.shape), part)
    return found


def _normal(key: tuple[int, int], first: int, count: int, per: int) -> Array:
    """r cos(a) and r sin(a) of the counters, of shape (per, count)."""
    half = (per + 1) // 2
    found = np.empty((2, half, count))
    add, subtract, multiply, root = np.add, np.subtract, np.multiply, np.sqrt
    for rows, columns in _pieces(count, half):
        cosine, sine = (part[rows, columns].reshape(-1) for part in found)  # views: whole rows, or a part of one
        a, b = _encrypted(key, first, rows, columns)
        radius, turn, power = (room[: a.size] for room in _ROOM.floats)
        _unit(a, radius)
        np.log(radius, radius)
        multiply(radius, _EIGHT, radius)
        root(radius, radius)  # 2 r
        # p = sqrt(2) sin(a/4), from which sin(a/2) = p sqrt(2 - p^2), cos(a/2) = 1 - p^2; in the same way those of a
        np.copyto(turn, b.view(np.int32))
        multiply(turn, turn, cosine)
        multiply(cosine, _SINE[0], power)
        for coefficient in _SINE[1:-1]:
            add(power, coefficient, power)
            multiply(power, cosine, power)
        add(power, _SINE[-1], power)
        multiply(power, turn, power)
        multiply(power, power, sine)
        subtract(_TWO, sine, turn)
        root(turn, turn)
        multiply(turn, power, turn)  # sin(a/2)
        subtract(_ONE, sine, sine)  # cos(a/2)
        multiply(sine, turn, sine)  # sin(a)/2
        multiply(turn, turn, turn)
        subtract(_HALF, turn, turn)  # cos(a)/2
        multiply(turn, radius, cosine)
        multiply(sine, radius, sine)
    return found.reshape(2 * half, count)[:per]
