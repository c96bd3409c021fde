"""What each target documents of the graphs it takes, and whether a graph keeps to it."""
