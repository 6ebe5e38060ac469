"""Benchmark of embedding speed and fidelity, against the reference implementation and other packages."""
