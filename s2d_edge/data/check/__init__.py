"""Look through a whole dataset for what would stop a training or falsify its score."""
