"""Devices, threads, memory and the cache folder."""
