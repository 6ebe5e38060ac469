"""Devices, the executor of passes, memory allocation, files and the cache folder."""
