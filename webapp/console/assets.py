"""The style sheet, the module and the icon. A file's URL has its hash, so browsers keep it for ever."""

import hashlib
from pathlib import Path

from flask import Response, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

ASSET = "asset"  # the endpoint
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
CONTENTS = {path.name: path.read_bytes() for path in sorted((Path(__file__).parent / "assets").iterdir())}
DIGESTS = {name: hashlib.sha256(content).hexdigest()[:16] for name, content in CONTENTS.items()}


def url(name: str) -> str:
    return url_for(f"console.{ASSET}", digest=DIGESTS[name], name=name)


def asset(digest: str, name: str) -> ResponseReturnValue:
    """Of this release alone: what another one had under this URL must not be kept as that."""
    if DIGESTS.get(name) != digest:
        raise NotFound
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(CONTENTS[name], headers=headers, mimetype=TYPES[Path(name).suffix])
