"""The face pack: MediaPipe's graphs, rewritten for the runtimes of a bundle."""
