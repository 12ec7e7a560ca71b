"""What web pages load, and what they send."""
