"""Training: settings, the loop, the landmark network's lessons, and the ``train`` verb."""
