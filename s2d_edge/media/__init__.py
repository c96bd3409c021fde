"""Reading and writing pictures and videos, finding faces, cropping them, and sampling in time."""
