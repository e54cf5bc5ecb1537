"""Programs: costs to be made small under errors and constraints at most 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rmverify.exponents.problem import Problem
from rmverify.exponents.solution import Optimum, solve


@dataclass(frozen=True, repr=False)
class Program(Problem):
    """Costs to be made small under errors and constraints at most 1; all of them monomials, by name.

    Attributes
    ----------
    scales, free : tuple of str
        What grows, such as ``("d", "L", "1/eps")``, and what may be chosen.
    costs, errors, constraints : dict of str to Monomial
        A constraint without any parameter, such as L <= d, is an assumption
        about the scales.
    fix : dict of str to Monomial
        Parameters that are not free but given, in terms of scales.
    claims : tuple of PrintedCost
        Printed costs to be judged.
    name, title : str
        Where the program comes from (complaints begin with it), and what it is.

    Examples
    --------
    >>> from rmverify import exponents
    >>> [str(cost) for cost in exponents.load("d0").solve().cost]
    ['L^2 d^{1/2} eps^{-1}']
    """

    def solve(self, scales: Sequence[str] | None = None) -> Optimum:
        """The smallest worst cost, exactly; if `scales` are given, only these grow and the others are constants.

        Raises
        ------
        Infeasible, Unbounded
            ValueErrors with a certificate in the program's own names. A
            program must be feasible wherever the scales may go; to look at a
            part, add an assumption about the scales as a constraint.
        ValueError
            For an unknown scale, and for a program above `LIMITS`.

        Examples
        --------
        >>> from rmverify import exponents
        >>> program = exponents.load("d1")
        >>> print(*program.solve().cost)
        L^2 d^{5/12} eps^{-1}
        >>> print(*program.solve(["d"]).cost)
        d^{5/12}
        """
        return solve(self if scales is None else self.within(scales))

    def __repr__(self) -> str:
        return f"<Program {self.name or 'without a name'}: {', '.join(map(str, self.costs.values()))}>"
