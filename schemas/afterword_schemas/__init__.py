"""What both sides of Afterword agree on: the event, its limits, flattening, errors and tables."""
