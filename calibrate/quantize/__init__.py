"""Making INT8 graphs with NNCF, one recipe a target."""
