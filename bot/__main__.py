"""The command line."""

import click


@click.group()
def main() -> None:
    """A self-hosted WhatsApp support desk."""


if __name__ == "__main__":
    main()
