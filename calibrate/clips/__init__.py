"""The clips of a calibration: those that calibrate, validate, tune and evaluate, kept apart."""
