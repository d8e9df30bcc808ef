"""`python -m webapp.serve webapp:create_app`: granian, which serves what this factory makes."""

import json
import socket
import sys
from functools import partial
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import MPServer
from werkzeug.utils import import_string

from core.settings import MissingSetting, Settings, WebSettings, WrongSetting
from webapp.api.streams import Streams
from webapp.asgi import AsgiApplication

LARGEST_HEAD = 16 * 1024  # bytes
CONNECTIONS = 1024  # of all processes together, beside those of streams


def server(web: WebSettings) -> MPServer:
    """HTTP/1 only: granian puts no time limit on the first bytes of a connection that might become HTTP/2."""
    return MPServer(
        "orderlog",
        address=web.host,
        port=int(web.port),
        interface=Interfaces.ASGI,
        workers=web.processes,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS // web.processes + web.streams,
        respawn_failed_workers=True,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=web.idle_timeout * 1000, max_buffer_size=LARGEST_HEAD),
        websockets=False,
        log_dictconfig=json.loads((Path(__file__).parent / "granian_logs.json").read_text()),
    )


def application(factory: str, web: WebSettings) -> AsgiApplication:
    """Made in each process; `factory` names a function, as `module:function`."""
    app = import_string(factory)()
    largest_body = app.config["MAX_CONTENT_LENGTH"] or sys.maxsize
    streams = Streams(app, Settings.load().commands_url, web.streams)
    return AsgiApplication(
        app, streams, largest_body=largest_body, body_timeout=web.body_timeout, unread_timeout=web.idle_timeout
    )


def require_port(host: str, port: int) -> None:
    """Raises SystemExit with the sentence that granian does not say."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family, reuse_port=True).close()  # processes of one that was killed
    except OSError as error:
        sys.exit(f"orderlog: nothing can listen on {host}, port {port}: {error.strerror}. Set PORT, or HOST.")


if __name__ == "__main__":
    try:
        Settings.load()  # which each process needs
        settings = WebSettings.load()
    except (MissingSetting, WrongSetting) as error:
        sys.exit(f"orderlog: {error}")
    require_port(settings.host, int(settings.port))
    server(settings).serve(target_loader=partial(application, sys.argv[1], settings), wrap_loader=False)
