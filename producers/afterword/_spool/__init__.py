"""Events on disk until they are delivered."""
