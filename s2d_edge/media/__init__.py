"""Pictures and videos, faces and their crops, and sampling in time."""
