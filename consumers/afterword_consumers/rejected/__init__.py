"""Messages that were not accepted: list them, correct them, publish them again."""
