"""The derivations of proofs_checks/ as symbolic evidence: what must be 0 is, and what must not be is not."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rmverify.claims.evidence import Evidence, Look

__all__ = ["derivations", "symbolic"]


def derivations() -> list[Path]:
    """The files of proofs_checks/, beside the package in a checkout and inside it where it was installed."""
    package = Path(__file__).parents[2]
    checkout = package.parent / "pyproject.toml"
    folder = (checkout if checkout.is_file() else package / "_").with_name("proofs_checks")
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith(("test_", "conftest", "_")))


@cache
def _claims_of(path: Path) -> tuple[str, ...]:
    """The claims that a file is about, read without running it."""
    import ast

    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [t.id for t in node.targets if isinstance(t, ast.Name)] == ["CLAIM"]:
            value = ast.literal_eval(node.value)
            return (value,) if isinstance(value, str) else tuple(value)
    return ()


def symbolic(look: Look, id: str) -> Iterator[Evidence]:
    """One piece of evidence for each file about this claim: they are about the shipped schemes and no others."""
    about = [] if look.schemes else [path for path in derivations() if id in _claims_of(path)]
    if about and look.wants("symbolic"):
        yield from map(_derive, about)


@cache
def _derive(path: Path) -> Evidence:
    """Every identity of a file, once a process: several claims may share it."""
    module = runpy.run_path(str(path))
    identities, mutated = module["IDENTITIES"], module["MUTATED"]
    failed = [name for name, build in identities.items() if not _zero(build())]
    blind = [name for name, build in mutated.items() if _zero(build())]
    summary = " ".join((module["__doc__"] or path.stem).strip().split("\n\n")[0].split())
    rows = [{"identity": name, "is zero": name not in failed} for name in identities]
    rows += [{"identity": f"mutated: {name}", "is zero": name in blind} for name in mutated]
    return Evidence(
        "symbolic", summary, "violated" if failed else "inconclusive" if blind else "holds",
        computed=f"{len(identities) - len(failed)} of {len(identities)} identities are zero, "
        f"{len(mutated) - len(blind)} of {len(mutated)} mutated ones are not", bound="0",
        where={"identity": [*failed, *blind][0]} if failed or blind else {}, source=f"proofs_checks/{path.name}",
        rows=tuple(rows),
    )  # fmt: skip


def _zero(expressions: Any) -> bool:
    many = expressions if isinstance(expressions, tuple | list) else (expressions,)
    return len(many) > 0 and all(bool(each == 0) for each in many)
