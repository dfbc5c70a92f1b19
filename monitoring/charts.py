"""The words in which panels are written: how Prometheus is asked for a counter, a histogram or a gauge."""

from monitoring.drawing import Panel, Query, Unit

CHOSEN = 'replica=~"$replica"'


def rate(metric: str, by: str = "", only: str = "") -> str:
    """How fast a counter rises a second, by a label."""
    chosen = f"{CHOSEN}, {only}" if only else CHOSEN
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{chosen}}}[$__rate_interval]))"


def share(metric: str, quantile: float, by: str = "") -> str:
    """The seconds that this share of what a histogram counted stayed below."""
    return f"histogram_quantile({quantile}, {rate(f'{metric}_bucket', f'{by}, le' if by else 'le')})"


def each(metric: str, by: str = "replica", only: str = "") -> str:
    """A gauge of each process."""
    chosen = f"{CHOSEN}, {only}" if only else CHOSEN
    return f"max by ({by}) ({metric}{{{chosen}}})"


def light(title: str, description: str, expression: str, unit: Unit = "short", *, warn: float, bad: float) -> Panel:
    """One number that should be low."""
    return Panel(
        title=title,
        description=description,
        unit=unit,
        queries=(Query(expression, title),),
        kind="stat",
        width=4,
        warn=warn,
        bad=bad,
    )


def chart(
    title: str, unit: Unit, description: str, *queries: tuple[str, str], width: int = 8, stacked: bool = False
) -> Panel:
    """Lines over time; a query is an expression and the name of its lines."""
    return Panel(
        title=title,
        description=description,
        unit=unit,
        queries=tuple(Query(expression, legend) for expression, legend in queries),
        width=width,
        stacked=stacked,
    )
