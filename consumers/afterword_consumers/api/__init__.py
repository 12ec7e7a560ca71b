"""The JSON API of analytics: read-only, one project a key. Needs the extra `server`.

    app = create_api(Api(ClickHouse(address), admit=…, freshness=FreshnessReader(…)))

`afterword dashboard` serves it; see consumers/docs/json-api.md for the routes. Who asks is the caller's to find
out, so that this package knows nothing of keys.
"""

from afterword_consumers.api.app import Pages, create_api
from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.api.service import Api, ApiOptions

__all__ = ["Api", "ApiError", "ApiOptions", "ErrorCode", "Pages", "create_api"]
