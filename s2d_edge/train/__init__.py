"""Training, in order: ``plan``, ``supply``, ``loop``, ``record``; ``command`` holds the entry point."""
