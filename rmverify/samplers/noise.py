"""What a sampler draws, supplied by us: normal numbers whose rows we choose, whichever library it asks.

A law can be read off code only if every random number in it is known. So `noise()` is handed in, and for the time of
a run the normal draws of PyTorch and JAX, made with whatever generator or key, are answered from the same supply, one
number for one state of a generator. Draws of another kind or shape are refused, and so are NumPy's generators that a
run makes for itself: seeded, they would pass for constants.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rmverify.numbers.checks import Array
from rmverify.samplers.arrays import host, in_words, of_words, quietly

__all__ = ["Foreign", "Noise", "intercepted", "restored"]

_NUMPY = ("default_rng", "seed", "rand", "randn", "random", "normal", "standard_normal", "uniform", "randint", "choice",
          "permutation", "shuffle", "random_sample", "multivariate_normal", "exponential", "binomial", "RandomState",
          "PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")  # fmt: skip
_OTHER = ("random", "uniform", "integers", "exponential", "choice", "permutation", "binomial", "poisson", "gamma")
_TORCH_OTHER = ("rand", "rand_like", "randint", "randint_like", "randperm", "bernoulli", "poisson", "multinomial")
_TENSOR_OTHER = ("uniform_", "random_", "exponential_", "bernoulli_", "cauchy_", "log_normal_", "geometric_")
_JAX_OTHER = ("uniform", "bernoulli", "randint", "exponential", "permutation", "choice", "categorical", "rademacher",
              "gamma", "truncated_normal", "laplace", "ball", "multivariate_normal")  # fmt: skip


class Foreign(ValueError):
    """A random number that is no standard normal draw of the state's shape."""


class Noise:
    """Standard normal draws like x: `noise()` is the next one. What it is called with is ignored, so that it can be
    handed to code that names its noise levels, but for a shape, which must be that of x.
    `noise.standard_normal(shape)`, `noise.normal(loc, scale, shape)` and `noise.randn(*shape)` are for code that
    expects a NumPy generator.
    """

    def __init__(
        self, supply: Callable[[int], Any], shape: tuple[int, ...], most: int | None = None,
        keys: dict[bytes, int] | None = None,
    ) -> None:  # fmt: skip
        self._supply, self.shape, self.most = supply, shape, most
        self._keys = {} if keys is None else keys  # JAX's keys mean the same in every run
        self.restart()

    def restart(self) -> None:
        """From the first draw on again."""
        self._states: dict[bytes, int] = {}
        self.plain = 0

    @property
    def by_key(self) -> bool:
        """Whether a key was drawn with, in this run or another."""
        return bool(self._keys)

    @property
    def count(self) -> int:
        return self.plain + len(self._keys)

    def __call__(self, *given: Any, **named: Any) -> Any:
        for value in (*given, *named.values()):
            if isinstance(value, tuple) and all(isinstance(n, int) for n in value):
                return self.of_shape(value, "noise")
        return self._supply(self._next())

    def _next(self) -> int:
        self._admit()
        self.plain += 1
        return self.plain - 1

    def _admit(self) -> None:
        if self.most is not None and self.count >= self.most:
            raise Foreign(f"run: expected at most {self.most} draws, as draws= says, but it asks for another one")

    def stated(self, state: bytes) -> Any:
        """The draw of a generator in this state: the same as before where it was in it before."""
        if state not in self._states:
            self._states[state] = self._next()
        return self._supply(self._states[state])

    def keyed(self, key: bytes) -> Any:
        """The draw of a key, in every run the same: number -1, -2, ... for the supply."""
        if key not in self._keys:
            self._admit()
            self._keys[key] = len(self._keys)
        return self._supply(-1 - self._keys[key])

    def of_shape(self, shape: Any, what: str, key: bytes | None = None) -> Any:
        """The next draw, refused unless x's shape is asked for."""
        wanted = tuple(int(n) for n in (shape if hasattr(shape, "__iter__") else (shape,)))
        if wanted != self.shape:
            one = " (one draw for all particles?)" if wanted in (self.shape[1:], (1, *self.shape[1:])) else ""
            raise Foreign(f"run: {what} drew numbers of shape {wanted}{one}; expected that of x, {self.shape}")
        return self._supply(self._next()) if key is None else self.stated(key)

    def standard_normal(self, size: Any = None, **_: Any) -> Any:
        return self.of_shape(() if size is None else size, "standard_normal")

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        if size is None:
            size = np.broadcast_shapes(np.shape(loc), np.shape(scale))
        return loc + scale * self.of_shape(size, "normal")

    def randn(self, *shape: Any) -> Any:
        return self.of_shape(shape, "randn")

    def __getattr__(self, name: str) -> Any:
        if name in _OTHER:
            raise Foreign(f"run: it draws {name} numbers; a law is read off normal draws alone")
        raise AttributeError(name)


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """PyTorch's own generator goes on from where it was, after runs that each found it in another state."""
    if "torch" not in sys.modules:
        yield
        return
    import torch

    state = torch.random.get_rng_state()
    try:
        yield
    finally:
        torch.random.set_rng_state(state)


@contextlib.contextmanager
def intercepted(noise: Noise) -> Iterator[None]:
    """For the time of a run, the normal draws of PyTorch and JAX are those of `noise`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_numpy_refused())
        if "torch" in sys.modules:
            import torch

            stack.enter_context(torch.no_grad())
            stack.enter_context(_torch_mode(torch, noise))
        if "jax" in sys.modules:
            stack.enter_context(_jax_patched(noise))
        yield


@contextlib.contextmanager
def _numpy_refused() -> Iterator[None]:
    """For the time of a run, NumPy's and Python's own random numbers are an error, also where they were imported by
    name.
    """
    import random

    def refusing(what: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise Foreign(
                f"run: it draws by {what}, which a law cannot be read off; draw with the noise that it is handed, "
                "noise() or noise.standard_normal(x.shape)"
            )

        return refuse

    def unmade(kind: Any, what: str) -> Any:
        """A class that is not made any more, and that the old objects belong to."""

        class Same(type):
            def __instancecheck__(cls, value: Any) -> bool:
                return isinstance(value, kind)

        return Same(kind.__name__, (kind,), {"__init__": refusing(what)})

    changed: dict[str, tuple[Any, Any]] = {}
    for name in _NUMPY:
        value, what = getattr(np.random, name), f"numpy.random.{name}"
        changed[name] = value, unmade(value, what) if isinstance(value, type) else refusing(what)
    undo: list[tuple[Any, str, Any]] = [(random, "seed", random.seed)]
    random.seed = refusing("random.seed")
    for module, name in _named_like_numpys(hash(tuple(map(id, sys.modules.values())))):
        old, new = changed[name]
        if getattr(module, name, None) is old:
            undo.append((module, name, old))
            setattr(module, name, new)
    try:
        yield
    finally:
        for module, name, value in undo:
            setattr(module, name, value)


@functools.lru_cache(maxsize=1)
def _named_like_numpys(_: int) -> list[tuple[Any, str]]:
    """Where a module of these, whose identity is the argument, may have a function of numpy.random by its name; the
    main one, in which a person goes on writing, has all of them.
    """
    places = [(sys.modules["__main__"], name) for name in _NUMPY]
    for module in list(sys.modules.values()):
        if not (getattr(module, "__name__", None) or "").startswith(("rmverify.", "numpy.random.")):
            places += [(module, name) for name in set(_NUMPY) & getattr(module, "__dict__", {}).keys()]
    return places


def _torch_mode(torch: Any, noise: Noise) -> Any:
    from torch.overrides import TorchFunctionMode

    others = {getattr(torch, name): f"torch.{name}" for name in _TORCH_OTHER}
    others |= {getattr(torch.Tensor, name): f"Tensor.{name}" for name in _TENSOR_OTHER}

    def turned(generator: Any, device: Any) -> bytes:
        """The state of a generator, which goes on as if it had been used."""
        if generator is None:
            place = torch.device(device or torch.get_default_device())
            own = getattr(torch, place.type).default_generators if place.type != "cpu" else [torch.default_generator]
            generator = own[place.index or 0]
        state = bytes(generator.get_state().numpy().tobytes())
        torch.empty(1, device=generator.device).normal_(generator=generator)
        return f"{generator.device}".encode() + state

    class Answering(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func in others:
                raise Foreign(f"run: it draws by {others[func]}; a law is read off normal draws alone")
            if func is torch.randn:
                sizes = kwargs.get("size", args)
                if len(sizes) == 1 and not isinstance(sizes[0], int):
                    sizes = sizes[0]
                return self.like(noise.of_shape(sizes, "torch.randn", self.key(kwargs)), **kwargs)
            if func is torch.randn_like:
                model = args[0] if args else kwargs["input"]
                named = {"dtype": model.dtype, "device": model.device} | kwargs
                return self.like(noise.of_shape(model.shape, "torch.randn_like", self.key(named)), **named)
            if func is torch.Tensor.normal_:
                mean, std = (args[1:] + (0.0, 1.0)[len(args) - 1 :])[:2]
                mean, std = kwargs.get("mean", mean), kwargs.get("std", std)
                return args[0].copy_(mean + std * noise.of_shape(args[0].shape, "normal_", self.key(kwargs, args[0])))
            if func is torch.normal:
                mean = args[0] if args else kwargs.get("mean", 0.0)
                std = args[1] if len(args) > 1 else kwargs.get("std", 1.0)
                size = args[2] if len(args) > 2 else kwargs.get("size")
                given = [z for z in (mean, std) if isinstance(z, torch.Tensor)]
                if given:
                    size = torch.broadcast_shapes(*(z.shape for z in given))
                    kwargs = {"dtype": given[0].dtype, "device": given[0].device} | kwargs
                return mean + std * self.like(noise.of_shape(size or (), "torch.normal", self.key(kwargs)), **kwargs)
            return func(*args, **kwargs)

        @staticmethod
        def key(kwargs: Any, like: Any = None) -> bytes:
            return turned(kwargs.get("generator"), kwargs.get("device") if like is None else like.device)

        @staticmethod
        def like(drawn: Any, dtype: Any = None, device: Any = None, **_: Any) -> Any:
            drawn = drawn if isinstance(drawn, torch.Tensor) else torch.as_tensor(host(drawn))
            return drawn.to(device=device or drawn.device, dtype=dtype or torch.get_default_dtype())

    return Answering()


@contextlib.contextmanager
def _jax_patched(noise: Noise) -> Iterator[None]:
    """`jax.random.normal`, under whatever name it was imported, answers by key: also in loops that are compiled."""
    import jax

    original = jax.random.normal

    def normal(key: Any, shape: Any = (), dtype: Any = None, **_: Any) -> Any:
        shape = tuple(shape) if hasattr(shape, "__iter__") else (shape,)
        if shape != noise.shape:
            noise.of_shape(shape, "jax.random.normal")
        kind = jax.numpy.zeros((), dtype or float).dtype

        def answer(data: Any) -> Array:
            with quietly("jax"):
                return host(noise.keyed(np.asarray(data).tobytes()))

        data = jax.random.key_data(key)
        if isinstance(data, jax.core.Tracer):
            return of_words(lambda z: jax.pure_callback(lambda k: in_words(answer(k)), z, data), shape, kind)
        return jax.numpy.asarray(answer(data), dtype=kind)

    def refusing(name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            why = " (to accept or reject?)" if name in ("uniform", "bernoulli") else ""
            raise Foreign(f"run: it draws by jax.random.{name}{why}; a law is read off normal draws alone")

        return refuse

    changed: dict[Any, Any] = {original: normal}
    changed |= {getattr(jax.random, name): refusing(name) for name in _JAX_OTHER if hasattr(jax.random, name)}
    undo: list[tuple[Any, str, Any]] = []
    names = {"normal", *_JAX_OTHER}
    for module in list(sys.modules.values()):
        if (getattr(module, "__name__", None) or "").startswith("jax._src"):
            continue
        for name in names & set(vars(module) if hasattr(module, "__dict__") else ()):
            value = vars(module)[name]
            if callable(value) and getattr(value, "__module__", "").startswith("jax") and value in changed:
                undo.append((module, name, value))
                setattr(module, name, changed[value])
    jax.clear_caches()
    try:
        yield
    finally:
        for module, name, value in undo:
            setattr(module, name, value)
        jax.clear_caches()
