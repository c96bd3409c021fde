"""The ground floor: errors, files, the console, metrics, plots and the processor's name."""
