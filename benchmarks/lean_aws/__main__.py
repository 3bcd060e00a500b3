"""``python -m benchmarks.lean_aws``: serve until the process is ended."""

from __future__ import annotations

import argparse
import asyncio
import ssl
from pathlib import Path

from benchmarks import certificate
from benchmarks.lean_aws.protocol import Connection
from benchmarks.lean_aws.state import Aws


def main() -> None:
    """Print the address once it listens; with ``--tls`` also that of HTTPS and the file of its certificate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="any free one unless given")
    parser.add_argument(
        "--tls", type=Path, metavar="FOLDER", help="serve HTTPS too, and put key there"
    )
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.tls))


async def _serve(port: int, folder: Path | None) -> None:
    aws = Aws()
    server, endpoint = await _listen(aws, port)
    aws.endpoints[False] = endpoint
    said = [endpoint]
    if folder:
        context, trusted = certificate.serve(folder)
        _, aws.endpoints[True] = await _listen(aws, 0, context)
        said += [aws.endpoints[True], str(trusted)]
    print(*said, flush=True)
    await server.serve_forever()


async def _listen(
    aws: Aws, port: int, context: ssl.SSLContext | None = None
) -> tuple[asyncio.Server, str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(aws), "127.0.0.1", port, backlog=1024, ssl=context
    )
    scheme = "https" if context else "http"
    return server, f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


if __name__ == "__main__":
    main()
