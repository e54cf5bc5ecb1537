"""Between the host's float64 and the arrays of the code that is read: NumPy, PyTorch, JAX or any other namespace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import device, is_array_api_obj, is_jax_array, is_torch_array

from rmverify.numbers.checks import Array

__all__ = [
    "BACKENDS",
    "compiling",
    "empty_on",
    "example",
    "from_host",
    "host",
    "in_words",
    "is_array",
    "named",
    "of_words",
    "place_of",
    "precision_of",
    "quietly",
]

BACKENDS = ("numpy", "cupy", "torch", "jax")
"""The libraries whose arrays can be asked for by name."""


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (is_array_api_obj(value) and not isinstance(value, np.generic))


def host(value: Any) -> Array:
    """A number or an array of any library as NumPy float64."""
    if is_torch_array(value):
        return np.asarray(value.detach().cpu().double().numpy())
    if hasattr(value, "get") and not isinstance(value, np.ndarray) and is_array_api_obj(value):
        value = value.get()  # CuPy
    return np.asarray(value, dtype=np.float64)


def example(like: Any, dtype: str | None = None) -> Any:
    """An array of the library, dtype and device that `like` names: "numpy", "torch", "jax", or an array of it.

    Raises
    ------
    ValueError
        For another name, a library that is not installed, or an array that is not of float64 or float32.
    """
    if isinstance(like, str):
        if like == "numpy":
            return np.empty(0, dtype=dtype or "float64")
        if like == "torch":
            torch = _library(like)
            return torch.empty(0, dtype=getattr(torch, dtype or "float64"))
        if like == "jax":
            _library(like)
            import jax.numpy as jnp

            with quietly(like):
                return jnp.empty(0, dtype=dtype or "float64")
        raise ValueError(f"like: expected 'numpy', 'torch', 'jax' or an array, got {like!r}")
    if not is_array(like):
        raise ValueError(f"like: expected 'numpy', 'torch', 'jax' or an array, got {type(like).__name__}")
    if named(like) not in ("float64", "float32"):
        raise ValueError(
            f"like: expected an array of float64 or float32, in which a law can be read, got {named(like)}"
        )
    if dtype is None or dtype == named(like):
        return like
    if is_torch_array(like):
        return like.to(getattr(_library("torch"), dtype))
    return like.astype(dtype)


def quietly(like: Any) -> Any:
    """A context in which JAX has float64, and nothing of itself otherwise."""
    if like == "jax" or (not isinstance(like, str) and is_jax_array(like)):
        import jax

        if hasattr(jax, "enable_x64"):
            return jax.enable_x64(True)
        from jax.experimental import enable_x64

        return enable_x64()
    return contextlib.nullcontext()


def compiling(x: Any) -> bool:
    """Whether x has no values yet: JAX is compiling the code that has it."""
    if not is_jax_array(x):
        return False
    import jax

    return isinstance(x, jax.core.Tracer)


def from_host(function: Callable[[Any, Any], Any], x: Any, t: Any) -> Any:
    """What compiled code will get by calling function(x, t) of host arrays, once, in its turn; of the type of x."""
    import jax.numpy as jnp
    from jax import lax
    from jax.experimental import io_callback

    def words(z: Any) -> Any:
        return None if z is None else lax.bitcast_convert_type(jnp.asarray(z, dtype="float64"), "uint32")

    def called(x: Any, t: Any) -> Any:
        x, t = (None if z is None else np.ascontiguousarray(z).view(np.float64) for z in (x, t))
        return in_words(function(x[..., 0], None if t is None else t[..., 0]))

    return of_words(lambda shape: io_callback(called, shape, words(x), words(t), ordered=True), x.shape, x.dtype)


def in_words(values: Any) -> Array:
    """float64 as pairs of 32 bits, along a new last axis: JAX has no float64 on the threads on which it calls back."""
    return np.ascontiguousarray(values, dtype=np.float64)[..., None].view(np.uint32)


def of_words(call: Callable[[Any], Any], shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers of a shape and dtype, from a call back that is told to return their words."""
    import jax

    words = call(jax.ShapeDtypeStruct((*shape, 2), "uint32"))
    return jax.lax.bitcast_convert_type(words, "float64").astype(dtype)


def named(value: Any) -> str:
    """The name of an array's dtype, the same in every library."""
    return str(value.dtype).rpartition(".")[2]


def precision_of(dtype: str) -> float:
    """The distance from 1 to the next number of a dtype."""
    return {"float64": 2.0**-52, "float32": 2.0**-23}[dtype]


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(f"like: {name!r} needs {name}, which is not installed; pip install {name}") from None


def empty_on(backend: str, dtype: str = "float64", device: str | None = None) -> Any:
    """An array without numbers of one of `BACKENDS`, on a device by that library's own name for it.

    Raises
    ------
    ValueError
        Where the library is not installed, or has no such device.

    Examples
    --------
    >>> empty_on("numpy", "float32").dtype
    dtype('float32')
    """
    if backend == "numpy":
        if device not in (None, "cpu"):
            raise ValueError(f"device: expected cpu, where all arrays of NumPy are, got {device}")
        return np.empty(0, dtype=dtype)
    if backend not in BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    try:
        library = _library(backend)
    except ValueError:
        raise ValueError(f"backend: {backend} is not installed; pip install 'rmverify[{backend}]'") from None
    try:
        if backend == "torch":
            return library.empty(0, dtype=getattr(library, dtype), device=device)
        kind, _, index = (device or "").partition(":")
        if backend == "cupy":
            if kind not in ("", "cuda"):
                raise ValueError("its devices are cuda:0, cuda:1, ...")
            with library.cuda.Device(int(index or 0)):
                return library.empty(0, dtype=dtype)
        with quietly(backend):
            return library.device_put(np.empty(0, dtype=dtype), library.devices(kind or None)[int(index or 0)])
    except Exception as error:  # each library has its own
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"device: {backend} has no {device or 'device'} here: {said}") from error


def place_of(like: Any) -> tuple[str, str, str | None]:
    """What `empty_on` makes an array of this library, dtype and device of, wherever it is called.

    Raises
    ------
    ValueError
        For a library that is none of `BACKENDS`.

    Examples
    --------
    >>> place_of(empty_on("numpy", "float32"))
    ('numpy', 'float32', None)
    """
    library = type(like).__module__.partition(".")[0]
    library = "jax" if is_jax_array(like) else library
    if library not in BACKENDS:
        raise ValueError(f"like: expected an array of {', '.join(BACKENDS)}, which workers know, got one of {library}")
    if library == "numpy":
        return library, named(like), None
    where = device(like)
    text = str(where) if library == "torch" else f"{getattr(where, 'platform', 'cuda')}:{where.id}"
    return library, named(like), text
