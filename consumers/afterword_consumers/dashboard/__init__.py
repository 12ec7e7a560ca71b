"""The page: what people said and did, to look at in a browser.

Server-rendered from the same questions as the API; the URL is the state, and everything but the charts works without
JavaScript.
"""

from afterword_consumers.dashboard.app import PageOptions, create_pages
from afterword_consumers.dashboard.frame import COOKIE

__all__ = ["COOKIE", "PageOptions", "create_pages"]
