"""What one step gets wrong: exact errors beside the exact flow, leading constants, and certified bounds over boxes."""

EFFORT = 20_000
"""The most boxes that a search examines: four times as many as the hardest of the shipped ones needs."""
