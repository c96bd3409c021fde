"""From a clip's path to the frames a network sees, in parallel and kept on disk."""
