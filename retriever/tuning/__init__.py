"""Training pairs from files and indexes, and calibration of an encoder."""
