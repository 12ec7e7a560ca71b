"""Run a server of ours in the foreground: say where and for whom, and end in order on a signal.

serve(server, settings.gateway_keys_file, keys)
"""

import resource
import signal
from pathlib import Path
from typing import Final

from afterword.gateway import GatewayServer, KeyFile
from afterword_stack.terminal.console import notice

_MAX_FILES: Final = 65_536


def serve(server: GatewayServer, keys_file: Path, keys: KeyFile) -> None:
    """Serve in this thread until SIGTERM or SIGINT; requests that are being answered finish first."""
    _allow_connections()
    whom = f"those with a key of {keys_file.absolute()}"
    if not keys.configured:
        whom = f"this machine alone, as there is no {keys_file.absolute()}"
    notice(f"{server.address} serves {whom}; Ctrl-C stops")
    # uvicorn stops in order on the first signal, and raises it again when it is done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    notice("stopped")


def _allow_connections() -> None:
    """Let the process have as many connections as the system lets it; many have 1,024 by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
