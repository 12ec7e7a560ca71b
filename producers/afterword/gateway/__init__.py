"""The HTTP gateway: whatever can send a request can give feedback. Needs the extra `server`.

    app = create_app(transport, keys=KeyFile(path), receipts=…, ready=…)
    GatewayServer(app, ServerOptions(host="127.0.0.1", port=8080)).run()

`afterword gateway` is this, with settings; see producers/GATEWAY.md for the routes.
"""

from afterword.gateway.access import admit
from afterword.gateway.answers import RequestError
from afterword.gateway.app import create_app
from afterword.gateway.bodies import BodyLimits
from afterword.gateway.edge import Edge
from afterword.gateway.keys import Key, KeyFile, Scope
from afterword.gateway.metrics import RequestMetrics
from afterword.gateway.operations import operation_routes
from afterword.gateway.readiness import Readiness
from afterword.gateway.receipts import Receipts
from afterword.gateway.server import GatewayServer, ServerOptions, check_reach
from afterword.gateway.service import GatewayOptions

__all__ = [
    "BodyLimits",
    "Edge",
    "GatewayOptions",
    "GatewayServer",
    "Key",
    "KeyFile",
    "Readiness",
    "Receipts",
    "RequestError",
    "RequestMetrics",
    "Scope",
    "ServerOptions",
    "admit",
    "check_reach",
    "create_app",
    "operation_routes",
]
