"""linearhead serve: a finished model as a web page and an HTTP service."""

from __future__ import annotations

import click

from .choices import Place
from .output import put, put_json


@click.command(short_help="Serve a model: a web page and an HTTP service.")
@click.argument("run", type=Place())
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen at; any but loopback needs --token."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: one that is free.")
@click.option(
    "--token",
    envvar="LINEARHEAD_TOKEN",
    show_envvar=True,
    help="What requests have to bring as Authorization: Bearer TOKEN.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A further name by which people ask for the server; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="The address as one JSON object on stdout instead of text.")
def serve(run: str, host: str, port: int, token: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Serve the model of RUN until Ctrl-C: a page that takes pictures by drop, choice or camera, POST /predict, the
    Open Inference protocol below /v2, /openapi.json, /health and /metrics.

    Nobody but this computer can reach it unless --host says so. Pictures are decoded in processes with limits of their
    own, and none is kept.
    """
    from ..errors import UsageError
    from ..experiment import Service

    try:
        from ..server.run import is_everywhere
        from ..server.run import serve as run_server
    except ImportError as error:
        raise UsageError(f"The server needs {error.name}: pip install 'linearhead[serve]'.") from error

    def say(address: str) -> None:
        if as_json:
            put_json({"serving": address, "model": service.name})
        else:
            more = ", and at this machine's other addresses," if is_everywhere(host) else ""
            put(f"Serving {service.name} at {address}{'#token=…' if token else ''}{more} until Ctrl-C")

    service = Service(run)
    run_server(service, host, port, token, names, say=say)
