"""The HTTP gateway: whatever can send a request can give feedback. Needs the extra `server`.

    app = create_app(transport, keys=KeyFile(path), receipts=…, ready=…)
    GatewayServer(app, ServerOptions(host="127.0.0.1", port=8080)).run()

`afterword gateway` is this, with settings; see producers/docs/gateway.md for the routes.
"""

from afterword.gateway.app import create_app
from afterword.gateway.auth.access import admit, admit_key, check_reach, presented_key
from afterword.gateway.auth.key_file import Key, KeyFile, Scope
from afterword.gateway.auth.rate_limit import RateLimiter, client_network
from afterword.gateway.http.bodies import BodyLimits
from afterword.gateway.http.health_routes import operation_routes
from afterword.gateway.http.metrics import RequestMetrics
from afterword.gateway.http.middleware import RequestMiddleware
from afterword.gateway.http.readiness import Readiness
from afterword.gateway.http.responses import RequestError
from afterword.gateway.http.server import GatewayServer, ServerOptions
from afterword.gateway.receipts import Receipts
from afterword.gateway.service import GatewayOptions

__all__ = [
    "BodyLimits",
    "GatewayOptions",
    "GatewayServer",
    "Key",
    "KeyFile",
    "RateLimiter",
    "Readiness",
    "Receipts",
    "RequestError",
    "RequestMetrics",
    "RequestMiddleware",
    "Scope",
    "ServerOptions",
    "admit",
    "admit_key",
    "check_reach",
    "client_network",
    "create_app",
    "operation_routes",
    "presented_key",
]
