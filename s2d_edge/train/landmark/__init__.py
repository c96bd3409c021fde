"""Training of the landmark network on avatars or on photographs."""
