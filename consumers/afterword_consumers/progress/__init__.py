"""How far the workers are: freshness of answers, receipts of events."""
