"""Looking into quantized graphs: layers, MACs, switches between INT8 and floating point."""
