"""`/api`: which routes there are, for a person who looks for them."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.json_answers import json_answer
from afterword_consumers.api.openapi import openapi


async def index(_: Request) -> Response:
    """List the routes, each with its summary in the OpenAPI document."""
    paths = openapi()["paths"]
    about = {path: described["get"]["summary"] for path, described in paths.items()}
    return json_answer({"name": "Afterword", "routes": about})


ROUTES: Final = [
    Route("/api", index, methods=["GET"]),
]
