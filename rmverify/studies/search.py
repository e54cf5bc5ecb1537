"""The least number of steps whose error is small enough: one search, for exact errors and for sampled ones.

Laws are dear, so few numbers of steps are looked at: where the error falls like a power of N, two of them say where it
meets the goal. An exact error is then known on both sides of the answer; a sampled one has an interval, and so has N.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfinv

from rmverify.numbers.checks import Array
from rmverify.numbers.values import Value

__all__ = ["PRECISION", "Found", "Sampled", "Search", "half_width", "halved", "lowest"]

PRECISION = 0.02
"""Half-width of the interval of a number of steps, relative to it."""
COARSE = 0.1
"""Accuracy of a sampled error far from the goal, relative to it."""
_FINE = 0.003  # the finest accuracy near it, for that precision
_LOOKS = 24, 6  # at most, once the goal lies between two numbers; and of the finest accuracy
_WIDE = 5  # times the precision, beyond which an interval is no answer
_SLOW = 0.8  # of the bracket's width, that two looks should have left less of
_LOST = 4  # numbers of steps, one after the other, whose law is not resolved
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Found:
    """The least N with value(N) <= goal, what was found at its upper end and just below its lower one.

    `steps` is None where none is known to be enough. An exact N has `fewest` = `most` = `steps`.
    """

    steps: int | None
    value: Value | None
    before: Value | None
    status: str
    fewest: int | None = None
    most: int | None = None


def halved(reaches: Callable[[int], bool], low: int, high: int) -> int:
    """The least n in (low, high] that reaches, by bisection; `high` does, and what comes after does too."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def half_width(low: int, high: int) -> float:
    """That of an interval of whole numbers, relative to its middle."""
    return (high - low) / (high + low)


def lowest(f: Callable[[float], float], high: float, low: float, fine: float) -> float:
    """Where f is least, searched downwards from `high` in steps until it rises, then by golden section."""
    stride, x = 0.7, high
    while x > low and (not math.isfinite(f(x)) or f(x - stride) < f(x)):
        x -= stride
    a, b = x - stride, x + stride
    c, d = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
    while b - a > fine:
        if f(c) <= f(d):
            b, d = d, c
            c = b - _GOLDEN * (b - a)
        else:
            a, c = c, d
            d = a + _GOLDEN * (b - a)
    return min((c, d, x), key=f)


# --- exact errors ---------------------------------------------------------------------------------------------------


class Search:
    """The least N with value(N) <= goal: every N at first, then secant on the log-log curve, exact bracketing.

    Parameters
    ----------
    value : callable
        N -> the error, None where its law is not resolved.
    goal : float
    most : int
        The largest N.
    sign : callable
        N -> the sign of the error where it has one, 0 otherwise: where that changes the error is small, and not
        monotone.
    doubling : bool
        To double and halve N instead, whatever the values are.

    Attributes
    ----------
    tried : int
        Up to here value(N) is known for every N, and above the goal.
    crossing : int or None
        The largest N seen at which the sign is another one than before.
    """

    def __init__(
        self, value: Callable[[int], Value | None], goal: float, most: int, *,
        sign: Callable[[int], int] = lambda n: 0, doubling: bool = False,
    ) -> None:  # fmt: skip
        self.value, self.goal, self.most, self.sign, self.doubling = value, goal, most, sign, doubling
        self.seen: dict[int, Value | None] = {}
        self.crossing: int | None = None
        self.tried = self.looked = 0

    def scan(self, work: int, cost: Callable[[int], int]) -> None:
        """Look at N = 1, 2, ... until one is small enough, or the work is done."""
        while self.looked < self.most and work > 0:
            n = self.looked + 1
            small = self.at(n) <= self.goal
            value = self.seen[n]
            if self.tried == n - 1 and value is not None and value.lower > self.goal:
                self.tried = n
            self.flip(n - 1, n)
            if small:
                return
            self.looked, work = n, work - cost(n)

    def at(self, n: int) -> float:
        """An upper bound of the value at n; infinite where it is not known."""
        if n not in self.seen:
            self.seen[n] = self.value(n)
        found = self.seen[n]
        return math.inf if found is None else found.upper

    def least(self, guess: int = 1) -> Found:
        """From the guess, or from where the scan has ended."""
        goal, at, seen = self.goal, self.at, self.seen
        low, high, lost = self.looked, 0, 0
        n = min(max(2 * low if self.doubling else guess, low + 1), self.most)
        if low + 1 in seen:  # where the scan has ended
            n = low + 1
        while not high:
            flip = self.flip(low, n)
            if flip is not None and (at(flip - 1) <= goal or at(flip) <= goal):
                high = flip if at(flip - 1) > goal else flip - 1
                break
            if at(n) <= goal:
                high = n
                break
            lost = lost + 1 if seen[n] is None else 0
            if n == self.most or lost == _LOST:
                return Found(None, seen[n], None, "cannot tell" if seen[n] is None else "beyond max_steps")
            low = n
            n = min(self.most, 2 * n if self.doubling else max(n + 1, _secant(seen, n, at(n), goal)))
        while low == 0 and high > 1:
            n = max(1, min(high - 1, _secant(seen, high, at(high), goal, down=True)))
            low, high = (low, n) if at(n) <= goal else (n, high)
        high = halved(lambda n: at(n) <= goal, low, high) if self.doubling else self._between(low, high)
        before = None if high == 1 else seen.get(high - 1)
        if high == 1 or (before is not None and before.lower > goal):
            return Found(high, seen[high], before, "found", high, high)
        return Found(high, seen[high], before, "cannot tell")

    def flip(self, low: int, n: int) -> int | None:
        """The N in (low, n] at which the sign is another one than at low."""
        if not low or not self.sign(low) or self.sign(n) in (0, self.sign(low)):
            return None
        found = halved(lambda middle: self.sign(middle) != self.sign(low), low, n)
        self.crossing = max(self.crossing or 0, found)
        return found

    def _between(self, low: int, high: int) -> int:
        """The upper one of two neighbours, the lower of which is above the goal."""
        goal, at = self.goal, self.at
        turns = 0
        while high - low > 1 and low:
            turns += 1
            a, b = at(low), at(high)
            if turns > 12 or not math.isfinite(a) or not b > 0 or a <= b:
                n = math.isqrt(low * high)
            else:
                power = math.log(a / b) / math.log(high / low)
                n = math.ceil(low * math.exp(math.log(a / goal) / power) - 1e-9)
            n = min(max(n, low + 1), high - 1)
            if at(n) <= goal:
                high = n
                low = n - 1 if n - 1 > low and at(n - 1) > goal else low
            else:
                low = n
                high = n + 1 if n + 1 < high and at(n + 1) <= goal else high
        return high


def _slope(seen: Mapping[int, Value | None], n: int) -> float:
    """The power with which the value falls at n, from the nearest other evaluation; 1 where there is none."""
    known = {k: float(v) for k, v in seen.items() if v is not None and math.isfinite(v) and v > 0}
    others = [k for k in known if k != n]
    if n not in known or not others:
        return 1.0
    other = min(others, key=lambda k: abs(math.log(k / n)))
    power = -math.log(known[n] / known[other]) / math.log(n / other)
    return min(max(power, 0.25), 4.0)


def _secant(seen: Mapping[int, Value | None], n: int, value: float, goal: float, down: bool = False) -> int:
    """Where n value^{1/power} would be at the goal, a little beyond, at most 64 times away."""
    if not math.isfinite(value) or not value > 0:
        return int(n / 4.0) if down else math.ceil(n * 4.0)
    factor = min(max((value / goal) ** (1 / _slope(seen, n)), 1 / 64), 64.0)
    return int(math.floor(n * factor * 0.98) if down else math.ceil(n * factor * 1.02))


# --- sampled errors -------------------------------------------------------------------------------------------------


@dataclass
class Sampled:
    """The least N with value(N) <= goal and its interval, where the error is a total variation or the like with an
    interval of its own.

    It goes on by no more than twice N while the intervals lie above the goal, and then with finer ones where the curve
    meets it, until the interval of N is as narrow as was asked for or no more can be told.

    Parameters
    ----------
    look : callable
        N and a relative accuracy -> the error.
    goal, precision : float
        `precision` is the half-width of the interval of N that is worked towards, relative to N.
    most : int
        The largest N.
    affords : callable
        Whether one more look at N is within the work.
    bounded : bool
        Whether the error is at most 1, as a total variation is, and bends there.
    """

    look: Callable[[int, float], Value]
    goal: float
    precision: float
    most: int
    affords: Callable[[int], bool] = lambda n: True
    bounded: bool = True

    def __post_init__(self) -> None:
        self.seen: dict[int, Value] = {}
        self.asked: dict[int, float] = {}
        self.fine = _FINE * min(1.0, self.precision / PRECISION)

    def least(self, guess: int) -> Found:
        """From the guess on."""
        self._bracket(min(guess, self.most))
        looks, finest = _LOOKS
        widths: list[float] = []
        for _ in range(looks):
            if sum(asked <= self.fine for asked in self.asked.values()) >= finest:
                break
            low, high = self.ends
            if high:
                sampled = any(self.seen[n].kind == "monte-carlo" for n in (low, high) if n)
                if high - low == 1 or (sampled and half_width(low + 1, high) <= self.precision):
                    break
                widths.append(math.log(high / max(low, 1)))
                stuck = len(widths) > 2 and widths[-1] > max(_SLOW * widths[-3], _WIDE * self.precision)
                wanted = self._closer(low, high, stuck)
            else:
                wanted = self._finer(self.most) if self.most in self.seen and low < self.most else None
            if wanted is None or not self.affords(wanted[0]):
                break
            self._see(*wanted)
        return self._found()

    def _see(self, steps: int, accuracy: float) -> None:
        self.seen[steps], self.asked[steps] = self.look(steps, accuracy), accuracy

    def _bracket(self, steps: int) -> None:
        """Until one is known to reach."""
        self._see(steps, COARSE)
        while self.seen[steps].upper > self.goal and steps < self.most:
            further = max(steps + 1, math.ceil(1.05 * self._crossing(steps, 2 * steps)))
            steps = min(further, 2 * steps, self.most)
            if not self.affords(steps):
                return
            self._see(steps, COARSE)

    def _found(self) -> Found:
        low, high = self.ends
        if not high:
            last = self.seen[max(self.seen)]
            beyond = self.most in self.seen and last.lower > self.goal
            return Found(None, last, None, "beyond max_steps" if beyond else "cannot tell")
        steps = math.ceil(self._crossing(low, high)) if low else high
        told = high - low == 1 or half_width(low + 1, high) <= _WIDE * self.precision
        status = "found" if told else "cannot tell"
        return Found(min(max(steps, low + 1), high), self.seen[high], self.seen.get(low), status, low + 1, high)

    @property
    def ends(self) -> tuple[int, int]:
        """The largest N known to be too small, and the smallest known to reach; 0 where there is none."""
        high = min((n for n, value in self.seen.items() if value.upper <= self.goal), default=0)
        short = (n for n, value in self.seen.items() if value.lower > self.goal and (n < high or not high))
        return max(short, default=0), high

    def _size(self, value: float) -> float:
        """x, TV = erf(x): a power of N up to where TV is close to 1."""
        return float(erfinv(np.clip(value, 1e-300, 1 - 1e-12)) if self.bounded else np.clip(value, 1e-300, 1e300))

    def _level(self, steps: int) -> float:
        return float(np.log(self._size(float(self.seen[steps])) / self._size(self.goal)))

    def _parabola(self, low: int, high: int) -> Array:
        """Of ln x, over that of the goal, in ln N: through both ends and the next one beyond them, a line where only
        `low` was seen."""
        beyond = sorted((n for n in self.seen if not low <= n <= high), key=lambda n: abs(math.log(n / low)))
        near = [n for n in (low, high) if n in self.seen] + [n for n in beyond if not 0.7 < n / low < 1.4]
        near = near[: 3 if high in self.seen else 2]
        found: Array = np.polyfit(np.log(near), [self._level(n) for n in near], len(near) - 1)
        return found

    def _crossing(self, low: int, high: int) -> float:
        """Where the parabola meets the goal; `high` where it does not before."""
        along = self._parabola(low, high)
        ends = math.log(low), math.log(high)
        if not np.polyval(along, ends[0]) > 0 > np.polyval(along, ends[1]):
            return float(high)
        return math.exp(brentq(lambda x: np.polyval(along, x), *ends))

    def _closer(self, low: int, high: int, stuck: bool) -> tuple[int, float] | None:
        """An N near the crossing, on the side whose end is farther from it, and an accuracy that tells on which; where
        that has helped little, half-way."""
        if not low:
            n = high // 2
            while n in self.seen and n > 1:
                n //= 2
            return self._finer(n) if n in self.seen else (n, COARSE)
        at, along = self._crossing(low, high), self._parabola(low, high)
        off = 0.8 * self.precision
        sides = [(at / low, math.floor(at * (1 - off))), (high / at, math.ceil(at * (1 + off)))]
        if stuck:
            sides = [(math.inf, math.isqrt(low * high)), *sides]
        for _, steps in sorted(sides, reverse=True):
            steps = min(max(steps, low + 1), high - 1)
            if steps not in self.seen:
                x = self._size(self.goal) * math.exp(np.polyval(along, math.log(steps)))
                return steps, self._telling(math.erf(x) if self.bounded else x, COARSE)
            again = self._finer(steps)
            if again is not None:
                return again
        return None

    def _finer(self, steps: int) -> tuple[int, float] | None:
        """The same N with a finer interval, where there is one."""
        if self.seen[steps].kind != "monte-carlo" or self.asked[steps] <= self.fine:
            return None
        return steps, self._telling(float(self.seen[steps]), self.asked[steps] / 2)

    def _telling(self, value: float, most: float) -> float:
        """A relative half-width that tells such a value from the goal."""
        return max(min(abs(value / self.goal - 1) / 2, most), self.fine)
