"""Searching settings: each trial is an ordinary run, and a study remembers what came of it."""
