"""What users write, and how it is read."""
