"""Textbook formulas written plainly, and the facts that follow from them. Nothing here is computed by the package."""
