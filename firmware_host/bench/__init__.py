"""Timing models side by side, and profiling their graphs."""
