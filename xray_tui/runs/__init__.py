"""The run directory: written by a recorder, read back by everyone."""
