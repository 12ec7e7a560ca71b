"""What the worker does: judge, batch, merge, insert, commit. Owns its two ports, source and sink."""
