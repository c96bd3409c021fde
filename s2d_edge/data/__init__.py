"""Labelled clips, from what ``--data`` names to the arrays that training reads.

- ``reading``: annotations become a listing, and a listing a dataset; ``reading/published`` has the readers of
  published datasets;
- ``check``: faults of a dataset that would stop a training or falsify its score;
- ``preparing``: clips are decoded, cropped around the face, and kept on disk;
- ``augment``: random changes of clips as tensors, the only part that needs torch;
- ``avatars`` and ``animate``: sets of clips that this package draws itself.
"""
