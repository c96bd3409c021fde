"""Look into graphs: layers, MACs, inputs, and switches between INT8 and floating point."""
