"""The accuracy-drop report: measuring, data, verdict and renderings."""
