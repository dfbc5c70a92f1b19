"""The command line: `bot COMMAND`. Each command is a module of `bot.commands`; here is what they are called with."""

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Literal, TypeVar

import click
import uvloop

from bot import logs
from bot.config import Demands, Misconfigured, Settings, demands_of_service, read_settings

T = TypeVar("T")

CLICK_PATHS = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A self-hosted WhatsApp support desk."""


@main.command()
@click.option("--port", default=8000, show_default=True, help="Port of the service; the sandbox takes the next one.")
@click.option("--data", type=CLICK_PATHS, default=Path(".data/demo"), show_default=True, help="Folder of the stores.")
@click.option("--script", is_flag=True, help="Play sample conversations, print and verify them, and end.")
def demo(port: int, data: Path, script: bool) -> None:
    """The whole system on one machine, with no account."""
    from bot.commands.demo import demo as run_demo
    from bot.commands.script import play

    _run(play(data) if script else run_demo(port=port, data=data))


@main.command()
@click.option("--embedded", type=CLICK_PATHS, help="Start PostgreSQL or Redis in this folder when it has no address.")
def serve(embedded: Path | None) -> None:
    """Serve: webhook, REST, delivery. Settings come from the environment (docs/configuration.md)."""
    from bot.commands.serve import serve as run_service

    settings = _settings(lambda given: demands_of_service(given, embedded=embedded is not None))
    _run(run_service(settings, embedded=embedded))


@main.command()
@click.option("--check", is_flag=True, help="Change nothing; end with 1 when migrations are pending.")
@click.option("--pre", "only", flag_value="pre", help="Only what may run while the release before still serves.")
@click.option("--post", "only", flag_value="post", help="Only what had to wait until the release before is gone.")
def migrate(check: bool, only: Literal["pre", "post"] | None) -> None:
    """Bring the schema of DATABASE_URL up to date; a rolling deploy does it in two parts (docs/operations.md)."""
    from bot.commands import migrate as migrations

    settings = _settings(lambda given: () if given.database_url else ("DATABASE_URL is missing",))
    done = _run(migrations.check(settings, only) if check else migrations.apply(settings, only))
    sys.exit(0 if done else 1)


@main.command()
@click.option("--port", default=9100, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--webhook", default="", help="Where customers' messages and reports are posted.")
@click.option("--secret", default="", help="Sent with each webhook as X-Webhook-Secret.")
@click.option("--reports/--no-reports", default=True, help="Whether delivery reports are sent.")
def sandbox(port: int, host: str, webhook: str, secret: str, reports: bool) -> None:
    """The stand-in for MSG91 and OpenRouter, alone (docs/sandbox.md)."""
    from bot.sandbox.server import run
    from bot.sandbox.settings import SandboxSettings

    settings = SandboxSettings(host=host, port=port, webhook_url=webhook, webhook_secret=secret, reports=reports)
    click.echo(f"sandbox: http://{host}:{port}/phone")
    _run(run(settings))


@main.group()
def flows() -> None:
    """Work on flow files."""


@flows.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--strict", is_flag=True, help="End with 1 on warnings too.")
def check(paths: tuple[Path, ...], strict: bool) -> None:
    """Every problem of the flow files in PATHS (default: FLOWS_DIR), with file and line."""
    from bot.adapters.yaml_flows.loading import check as find_problems
    from bot.adapters.yaml_flows.problems import has_errors, render

    problems = find_problems(paths or (_settings().flows_dir,))
    if problems:
        click.echo(render(problems))
    errors = has_errors(problems)
    click.echo(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}" if problems else "no problems")
    sys.exit(1 if errors or (strict and problems) else 0)


@main.command()
def doctor() -> None:
    """Check settings, stores, schema, flows, provider and model keys; a line each."""
    from bot.commands.doctor import examine

    sys.exit(0 if _run(examine(_settings())) else 1)


def _settings(demands: Demands = lambda _: ()) -> Settings:
    try:
        settings = read_settings(os.environ, demands=demands)
    except Misconfigured as misconfigured:
        for problem in misconfigured.problems:
            click.echo(f"bot: {problem}", err=True)
        raise SystemExit(2) from None
    logs.configure(form=settings.log_format, level=settings.log_level, replica=settings.replica)
    return settings


def _run(work: Coroutine[object, object, T]) -> T:
    from bot.adapters.embedded import EmbeddedError
    from bot.adapters.postgres.migrations import MigrationError
    from bot.app import NotReady
    from bot.ports.failures import Unavailable

    try:
        return uvloop.run(work)
    except (EmbeddedError, MigrationError, NotReady, Unavailable, OSError) as problem:
        click.echo(f"bot: {problem}", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
