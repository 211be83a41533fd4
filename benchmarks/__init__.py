"""galeph and its peers on the same work, side by side: ``python -m benchmarks``.

``docs/benchmarks.md`` says how to run it, what is pinned, what the numbers mean and how a case
is added.
"""
