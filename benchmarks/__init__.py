"""Measurements that a person runs: ``python -m benchmarks.NAME``. Each prints a table; none is a test."""
