"""From what ``--data`` names to a dataset: listings, tables, readers, and the published datasets."""
