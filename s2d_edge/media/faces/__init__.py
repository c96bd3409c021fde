"""Faces in pictures and streams: MediaPipe's graphs on any runtime, and all that is between them."""
