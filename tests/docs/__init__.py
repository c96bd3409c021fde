"""Tests of the documentation: its commands work, and its links lead somewhere."""
