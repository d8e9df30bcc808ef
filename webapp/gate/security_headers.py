"""Headers that tell browsers and caches to make nothing of the answers; a page that needs more sets its own before."""

from flask import Flask, Response

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}


def init_app(app: Flask, *, https_only: bool) -> None:
    headers = HEADERS | HTTPS_ONLY if https_only else HEADERS

    def add(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    app.after_request(add)
