"""Events to a gateway over HTTP."""
