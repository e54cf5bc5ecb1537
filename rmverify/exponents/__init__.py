"""Exponents: the smallest worst cost under error terms that are monomials, exactly and with certificates.

Error terms and costs are monomials in scales (d, L, κ, 1/ε), which grow, and in free parameters (step sizes,
times), which may be chosen. In logarithms, "every error at most 1, the largest cost as small as possible" is
a linear program whose right side moves with the scales s:

    V(s) = min over f of max_k cost_k(s, f)   subject to   row_i(s, f) <= 1.

By duality V is the maximum of finitely many monomials, one for each vertex (w, y) of the dual polyhedron
w, y >= 0, Σw = 1, "the free parameters cancel in Π cost_k^{w_k} Π row_i^{y_i}": since every row is at most 1
and the largest cost is at least the geometric mean with weights w,

    max_k cost_k  >=  Π cost_k^{w_k} Π row_i^{y_i}  =  the vertex's monomial,

which is the whole proof of the lower bound; parameters that reach it are the proof of the upper one. There is
no floating point and no solver, and programs above `LIMITS` are refused.
"""

from rmverify.exponents.bounds import BOUNDS
from rmverify.exponents.cones import LIMITS
from rmverify.exponents.files import BUILT_IN, load, optimize
from rmverify.exponents.formulas import Bound, Monomial
from rmverify.exponents.problem import Infeasible, PrintedCost, Unbounded
from rmverify.exponents.program import Program
from rmverify.exponents.solution import Optimum, Piece, Verdict, Vertex

__all__ = [
    "BOUNDS",
    "BUILT_IN",
    "LIMITS",
    "Bound",
    "Infeasible",
    "Monomial",
    "Optimum",
    "Piece",
    "PrintedCost",
    "Program",
    "Unbounded",
    "Verdict",
    "Vertex",
    "load",
    "optimize",
]
