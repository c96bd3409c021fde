"""Rules that each target documents for its graphs, and the check of a graph against them."""
