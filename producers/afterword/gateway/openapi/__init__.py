"""The OpenAPI 3.1 description of the gateway, made from the models that judge and answer."""
