"""The parts as they run: gateway, dashboard, worker, pipeline, and their checks."""
