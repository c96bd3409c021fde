"""The device's side: bundle + camera -> expressions, live. Needs no torch, onnx or nncf."""
