"""Tests of the documentation: what it tells a reader to type works, and what it links to exists."""
