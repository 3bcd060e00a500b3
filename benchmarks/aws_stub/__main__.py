"""``python -m benchmarks.aws_stub --acceptances FILE``: serve until the process is ended."""

from __future__ import annotations

import argparse
import asyncio
import math
from pathlib import Path

from benchmarks import certificate
from benchmarks.aws_stub.acceptances import Acceptances
from benchmarks.aws_stub.allowance import Allowance
from benchmarks.aws_stub.faults import FAULTS, Faults
from benchmarks.aws_stub.server import Server


def main() -> None:
    """Print the address once it listens."""
    parser = argparse.ArgumentParser(description="A fast stand-in for SQS and SES.")
    parser.add_argument("--port", type=int, default=0, help="any free one unless given")
    parser.add_argument("--acceptances", type=Path, required=True, help="what SES accepts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-send-rate", type=float, default=10_000.0, help="what SES allows")
    parser.add_argument("--burst", type=float, default=math.inf, help="enforce that, after so many")
    parser.add_argument(
        "--ses-seconds", type=_seconds, default=(0.0, 0.0), metavar="LEAST,MOST", help="SES takes"
    )
    parser.add_argument("--tls", type=Path, metavar="FOLDER", help="serve HTTPS, and put key there")
    for name, meaning in FAULTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=0.0, help=meaning)
    options = parser.parse_args()
    faults = Faults({name: getattr(options, name) for name in FAULTS}, seed=options.seed)
    server = Server(
        faults,
        Acceptances(options.acceptances),
        allowance=Allowance(options.max_send_rate, burst=options.burst),
        ses_seconds=options.ses_seconds,
    )
    asyncio.run(_serve(server, options.port, options.tls))


def _seconds(text: str) -> tuple[float, float]:
    least, _, most = text.partition(",")
    return float(least), float(most)


async def _serve(server: Server, port: int, folder: Path | None) -> None:
    context, trusted = certificate.serve(folder) if folder else (None, "")
    listening = await server.start(port, context)
    print(server.address, trusted, flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    main()
