"""How the parts are put together and run: the `afterword` command, settings and the local stack."""
