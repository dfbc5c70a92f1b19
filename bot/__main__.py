"""The command line: `bot COMMAND`. Each command is a module of `bot.commands`; here is what they are called with."""

import os
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import click
import uvloop

from bot import PACKAGE, logs
from bot.config import Demands, Misconfigured, Settings, demands_of_database, demands_of_service, read_settings

T = TypeVar("T")

CLICK_PATHS = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=PACKAGE, prog_name="bot")
def main() -> None:
    """A self-hosted WhatsApp support desk."""


@main.command()
@click.option("--port", default=8000, show_default=True, help="Port of the service; the sandbox takes the next one.")
@click.option("--data", type=CLICK_PATHS, default=Path(".data/demo"), show_default=True, help="Folder of the stores.")
@click.option("--seed", is_flag=True, help="Begin with 90 days of invented history, for the API and its numbers.")
@click.option("--script", is_flag=True, help="Play sample conversations, print and verify them, and end.")
def demo(port: int, data: Path, seed: bool, script: bool) -> None:
    """The whole system on one machine, with no account."""
    from bot.commands.demo import demo as run_demo
    from bot.commands.script import play

    _run(play(data) if script else run_demo(port=port, data=data, seed=seed))


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

    settings = _settings(_database)
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

    if os.environ.get("ENVIRONMENT") == "production":
        raise click.UsageError("the sandbox asks nobody who they are: it does not start where ENVIRONMENT=production")
    settings = SandboxSettings(host=host, port=port, webhook_url=webhook, webhook_secret=secret, reports=reports)
    click.echo(f"sandbox: http://{host}:{port}/phone")
    _run(run(settings))


@main.command()
@click.option("--conversations", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--days", type=click.IntRange(1), default=90, show_default=True, help="Over how many days, up to now.")
@click.option("--seed", "chance", default=1, show_default=True, help="Another number invents another history.")
@click.option(
    "--now", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="When it ends, in UTC; the present."
)
@click.option("--yes", "sure", is_flag=True, help="In production too, and where customers are already.")
def seed(conversations: int, days: int, chance: int, now: datetime | None, sure: bool) -> None:
    """Fill an empty database with invented, believable history, for trials."""
    from bot.commands.seed import seed as run_seed

    settings = _settings(lambda given: () if given.database_url else ("DATABASE_URL is missing",))
    ends = now.replace(tzinfo=UTC).timestamp() if now else None
    _run(run_seed(settings, conversations=conversations, days=days, chance=chance, now=ends, sure=sure))


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


@main.group()
def keys() -> None:
    """Rotate ENCRYPTION_KEYS (docs/operations.md)."""


@keys.command("status")
def keys_status() -> None:
    """What is sealed under which key, and which keys are not needed any more; ends with 1 when one is missing."""
    from bot.commands.keys import status

    sys.exit(0 if _run(status(_settings(demands_of_database))) else 1)


@keys.command("rewrap")
def keys_rewrap() -> None:
    """Seal under the first key what another one sealed, while customers write; may be repeated at any time."""
    from bot.commands.keys import rewrap

    sys.exit(0 if _run(rewrap(_settings(demands_of_database))) else 1)


@main.command()
@click.argument("folder", type=CLICK_PATHS)
@click.option("--keys", "keys_only", is_flag=True, help="Only the keys, in seconds: from then on erasures hold.")
def backup(folder: Path, keys_only: bool) -> None:
    """Write a backup into a new folder under FOLDER, and the newest keys beside it (docs/operations.md)."""
    from bot.commands.backup import backup as make

    _run(make(_settings(demands_of_database), folder, keys_only=keys_only))


@main.command()
@click.argument("dump", type=click.Path(path_type=Path, exists=True))
@click.option("--keys", type=click.Path(path_type=Path, exists=True), help="The newest keys; else those beside DUMP.")
def restore(dump: Path, keys: Path | None) -> None:
    """Bring the backup in the folder DUMP back into the empty database of DATABASE_URL."""
    from bot.commands.backup import restore as bring_back

    _run(bring_back(_settings(demands_of_database), dump, keys))


@main.group()
def tokens() -> None:
    """Tokens of the API, in DATABASE_URL (docs/api.md)."""


@tokens.command("add")
@click.argument("name")
@click.option("--scopes", required=True, help="Comma separated; `read` stands for all that read, `all` for all.")
@click.option("--expires", "days", type=click.IntRange(1, 36_500), help="Days it is in force; for ever unless given.")
def tokens_add(name: str, scopes: str, days: int | None) -> None:
    """Make a token and print it once."""
    from bot.commands import tokens as command

    try:
        wanted = command.scopes_in(scopes)
    except command.BadScopes as problem:
        raise click.BadParameter(str(problem), param_hint="--scopes") from None
    sys.exit(0 if _run(command.add(_settings(_database), name, wanted, days)) else 1)


@tokens.command("list")
def tokens_list() -> None:
    """Every token there ever was, the one made last first."""
    from bot.commands import tokens as command

    sys.exit(0 if _run(command.show(_settings(_database))) else 1)


@tokens.command("revoke")
@click.argument("name_or_id", metavar="NAME|ID")
def tokens_revoke(name_or_id: str) -> None:
    """End a token; every replica refuses it within five seconds."""
    from bot.commands import tokens as command

    sys.exit(0 if _run(command.revoke(_settings(_database), name_or_id)) else 1)


@main.command("export")
@click.argument("phone")
@click.option("--output", type=CLICK_PATHS, help="A new file, readable by its owner only; otherwise it is printed.")
def export_customer(phone: str, output: Path | None) -> None:
    """Write everything that is held about the customer with this number, as JSON (docs/api.md)."""
    from bot.commands.customers import export

    sys.exit(0 if _run(export(_settings(_stores), phone, output)) else 1)


@main.command("erase")
@click.argument("phone")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_customer(phone: str, yes: bool) -> None:
    """Erase the customer with this number, for good (docs/security.md)."""
    from bot.commands.customers import erase

    if not yes:
        click.confirm("This cannot be undone. Erase?", abort=True)
    sys.exit(0 if _run(erase(_settings(_stores), phone)) else 1)


@main.command()
def doctor() -> None:
    """Check settings, stores, schema, flows, provider and model keys; a line each."""
    from bot.commands.doctor import examine

    sys.exit(0 if _run(examine(_settings())) else 1)


def _database(given: Settings) -> tuple[str, ...]:
    return () if given.database_url else ("DATABASE_URL is missing",)


def _stores(given: Settings) -> tuple[str, ...]:
    redis = () if given.redis_url else ("REDIS_URL is missing",)
    return (*_database(given), *redis)


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
    except BrokenPipeError:  # who reads our output has seen enough: click ends in silence
        raise
    except (EmbeddedError, MigrationError, NotReady, Unavailable, OSError) as problem:
        click.echo(f"bot: {problem}", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
