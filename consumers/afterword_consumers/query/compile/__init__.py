"""From a question to SQL."""
