"""``python -m benchmarks.lean_aws``: serve until the process is ended."""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.lean_aws.protocol import Connection
from benchmarks.lean_aws.state import Aws


def main() -> None:
    """Print the address once it listens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="any free one unless given")
    asyncio.run(_serve(parser.parse_args().port))


async def _serve(port: int) -> None:
    aws = Aws()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(aws), "127.0.0.1", port, backlog=1024)
    aws.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(aws.endpoint, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    main()
