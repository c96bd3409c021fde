"""The data of a training: prepared clips, cached landmark maps, batches."""
