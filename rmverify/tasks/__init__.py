"""Many computations that do not depend on each other: where they run, and how what they found is kept."""

from rmverify.tasks.executors import Gone, Pool, completed, given, pool
from rmverify.tasks.store import opened

__all__ = ["Gone", "Pool", "completed", "given", "opened", "pool"]
