"""The command `i1 serve`."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import logging
import socket
from collections.abc import Sequence
from typing import get_args

from i1_hooks import CommandParser, UserError
from i1_hooks.files import read_text, split_lines
from i1_sample.options import Dtype, LoadOptions

from i1_server.limits import Limits

_DEFAULTS = Limits()
_DEFAULT_PORT = 8000


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `i1 serve`."""
    parser = CommandParser(
        prog="i1 serve",
        description="Answer requests for pictures over HTTP: OpenAI's images API, jobs, and a page.",
    )
    add = parser.add_argument
    add(
        "--model",
        action="append",
        metavar="M",
        help="as for `i1 sample`; may be given several times, the first is the default (default: scenes)",
    )
    add("--dtype", choices=get_args(Dtype), help="of weights and activations (default: each model's)")
    add("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    add(
        "--port",
        type=int,
        default=_DEFAULT_PORT,
        metavar="P",
        help="0 is a free one (default: %(default)s)",
    )
    add("--api-key-file", metavar="F", help="a file with one key per line; any of them is accepted")
    add("--max-side", type=int, metavar="PX", help="longest side (default: twice the resolution)")
    add(
        "--max-steps",
        type=int,
        default=_DEFAULTS.most_steps,
        metavar="N",
        help="steps of a picture (default: %(default)s)",
    )
    add(
        "--queue",
        type=int,
        default=_DEFAULTS.queued_images,
        metavar="N",
        help="pictures that may wait (default: %(default)s)",
    )
    add(
        "--batch-size",
        type=int,
        default=_DEFAULTS.batch_size,
        metavar="N",
        help="pictures at a time, a power of two (default: %(default)s)",
    )
    add(
        "--stop-seconds",
        type=float,
        default=_DEFAULTS.stop_seconds,
        metavar="S",
        help="time for running work to finish after SIGTERM (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs `i1 serve` until a signal stops it.

    Args:
        argv: the arguments after `serve`.

    Raises:
        UserError: for a mistake on the command line, a port that is taken, or a model that cannot be loaded.
    """
    arguments = build_parser().parse_args(argv)
    limits = read_limits(arguments)
    keys = read_keys(arguments.api_key_file)
    if not keys and not is_loopback(arguments.host):
        raise UserError(
            f"--host {arguments.host} is open to other machines; give --api-key-file F, a file with a key"
        )
    names = arguments.model or ["scenes"]
    if len(set(names)) < len(names):
        raise UserError(f"--model: {', '.join(names)}: a model is given twice; give each once")
    with listen(arguments.host, arguments.port) as listener:
        _serve(names, arguments.dtype, limits, keys, listener)
    return 0


def _serve(
    names: Sequence[str], dtype: Dtype | None, limits: Limits, keys: Sequence[str], listener: socket.socket
) -> None:
    from i1_sample import Pipeline

    from i1_server.app import make_app
    from i1_server.running import serve
    from i1_server.service import Service

    logging.basicConfig(format="i1 serve: %(levelname)s: %(message)s", level=logging.WARNING)
    pipelines = {name: Pipeline.load(LoadOptions(model=name, dtype=dtype)) for name in names}
    service = Service(pipelines, limits)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"serving {', '.join(names)} at http://{shown}:{port}", flush=True)
    serve(make_app(service, keys), service, listener)


def read_limits(arguments: argparse.Namespace) -> Limits:
    """Returns the limits that a command line sets.

    Raises:
        UserError: for a number out of range.
    """
    counts = {
        "--max-steps": arguments.max_steps,
        "--queue": arguments.queue,
        "--batch-size": arguments.batch_size,
    }
    if arguments.max_side is not None:
        counts["--max-side"] = arguments.max_side
    for flag, value in counts.items():
        if value < 1:
            raise UserError(f"{flag} must be at least 1, got {value}")
    if arguments.batch_size & (arguments.batch_size - 1):
        raise UserError(f"--batch-size must be a power of two such as 8, got {arguments.batch_size}")
    if not 0 <= arguments.stop_seconds < 1e6:
        raise UserError(f"--stop-seconds must be from 0 to 1e6, got {arguments.stop_seconds:g}")
    return Limits(
        largest_side=arguments.max_side,
        most_steps=arguments.max_steps,
        queued_images=arguments.queue,
        batch_size=arguments.batch_size,
        stop_seconds=arguments.stop_seconds,
    )


def read_keys(path: str | None) -> tuple[str, ...]:
    """Returns the keys in a file, none without a file.

    Raises:
        UserError: for a file that cannot be read or holds no key.
    """
    if path is None:
        return ()
    keys = tuple(line.strip() for line in split_lines(read_text(path)) if line.strip())
    if not keys:
        raise UserError(f"--api-key-file {path} holds no key; write one per line")
    return keys


def is_loopback(host: str) -> bool:
    """Returns whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound to an address.

    Raises:
        UserError: when the port is taken or not allowed, or the address is none of this machine's.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port must be from 0 to 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"--host {host}: {error.strerror or error}; name one of this machine") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} of {host} is in use; choose another with --port, or 0 for a free one"
            ) from error
        raise UserError(f"cannot listen at {host}, port {port}: {error.strerror or error}") from error
    return listener
