"""Real replicas, real stores, a thousand customers, and faults by a seeded schedule; then everything is counted.

`python -m loadtest.chaos --replicas 3 --customers 1000 --seconds 600 --seed 7`. It ends with 1 when a promise was
broken, and says which, to whom, and where the logs are. How to read it: `loadtest/README.md`.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import orjson

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started as a file

from loadtest.chaos_run.play import play
from loadtest.chaos_run.report import document, history, text
from loadtest.chaos_run.schedule import KINDS
from loadtest.chaos_run.world import Plan


def main() -> int:
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="chaos-")) if arguments.folder is None else arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        replicas=arguments.replicas,
        customers=arguments.customers,
        seconds=arguments.seconds,
        seed=arguments.seed,
        rate=arguments.rate,
        lease=arguments.lease,
        only=arguments.only,
    )
    print(f"logs and stores: {folder}", flush=True)
    run = asyncio.run(play(plan, folder, tell=lambda line: print(line, flush=True)))
    print(f"\n{text(run)}")
    if arguments.json is not None:
        arguments.json.write_bytes(orjson.dumps(document(run), option=orjson.OPT_INDENT_2))
    if arguments.folder is None and not run.broken:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    (folder / "history.json").write_bytes(orjson.dumps(history(run)))
    print(f"\nlogs, stores and history.json are kept: {folder}")
    return 1 if run.broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600.0, help="of traffic and faults")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second of all customers together")
    parser.add_argument("--lease", type=float, default=5.0, help="LEASE_SECONDS of the replicas")
    parser.add_argument("--only", type=_kinds, default=(), help=f"kinds of faults, comma separated: {', '.join(KINDS)}")
    parser.add_argument("--folder", type=Path, help="for logs and stores; it is kept")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser.parse_args()


def _kinds(words: str) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in words.split(","))
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return kinds


if __name__ == "__main__":
    sys.exit(main())
