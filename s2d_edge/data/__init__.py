"""Labelled clips: reading annotations, checking, preparing, augmenting, and drawing sets of our own."""
