"""Folders of flow files in, a book or all their problems out. A set with any error is refused whole.

Reads files and nothing else; what a file says is judged in the other modules of this package.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bot.adapters.yaml_flows.compiler import Compiled, compile_flow
from bot.adapters.yaml_flows.graph import inspect
from bot.adapters.yaml_flows.problems import Problem, Report, has_errors, render, suggestion
from bot.adapters.yaml_flows.reading import warn_if_late
from bot.adapters.yaml_flows.rules import read_rules
from bot.core.book import Book, Rules
from bot.core.flow import Ask, Exact, FirstMessage, Flow, Keyword, Menu, Trigger
from bot.core.words import fold, whole

SUFFIXES = frozenset({".yaml", ".yml"})
RULES_STEM = "rules"
"""The file of this name holds rules and is not a flow."""
_VERSION_LENGTH = 16


class BrokenFlow(ValueError):
    """The source does not compile: it is damaged, or of a version of the language that is gone."""


class LoadedBook(msgspec.Struct, frozen=True, kw_only=True):
    """`book` is None when any of `problems` is an error."""

    book: Book | None
    problems: tuple[Problem, ...]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it was read, with the report that collects what is wrong with it."""

    path: Path
    report: Report
    text: str


class FlowSet(msgspec.Struct, frozen=True, kw_only=True):
    """All files of a folder, judged together. `compiled` has the flows that are right by themselves."""

    sources: tuple[Source, ...]
    compiled: tuple[Compiled, ...]
    rules: Rules

    def problems(self) -> tuple[Problem, ...]:
        """Everything found, by file and line."""
        found = [problem for source in self.sources for problem in source.report.problems]
        return tuple(sorted(found, key=lambda problem: (problem.file, problem.line, problem.severity)))


def check(paths: Sequence[Path]) -> tuple[Problem, ...]:
    """Every problem of the flow files in `paths`: files, or folders of them.

    A file is judged together with its neighbours, which its flow may lead to, but only its own problems are told.
    """
    problems: list[Problem] = []
    folders = {path: None for path in paths if path.is_dir()}
    files = [path for path in paths if not path.is_dir()]
    for folder in folders:
        problems += _folder_problems(folder)
    for folder in dict.fromkeys(path.parent for path in files):
        asked = {str(path) for path in files if path.parent == folder}
        problems += _file_problems(folder, asked)
    return tuple(dict.fromkeys(problems))


def load_book(folder: Path, limits: Rules) -> LoadedBook:
    """The book of `folder`. `limits` gives the numbers and whatever `rules.yaml` does not say."""
    found = _flow_set(_files(folder), limits)
    problems = found.problems() if found.sources else (_no_flows(folder),)
    if has_errors(problems):
        return LoadedBook(book=None, problems=problems)
    flows = {compiled.flow.flow_id: compiled.flow for compiled in found.compiled}
    book = Book(
        version=_version(found, limits),
        rules=found.rules,
        flows=flows,
        versions={flow.digest: flow for flow in flows.values()},
    )
    return LoadedBook(book=book, problems=problems)


def compile_source(source: str) -> Flow:
    """The flow of a pinned version from its stored source. Raises `BrokenFlow` with what is wrong."""
    report = Report("stored flow")
    compiled = compile_flow(source, report).compiled
    if compiled is None:
        raise BrokenFlow(render(report.problems))
    return compiled.flow


def _folder_problems(folder: Path) -> tuple[Problem, ...]:
    found = _flow_set(_files(folder), Rules())
    return found.problems() if found.sources else (_no_flows(folder),)


def _file_problems(folder: Path, asked: set[str]) -> list[Problem]:
    files = {str(path): path for path in _files(folder)}
    files.update((name, Path(name)) for name in asked)
    return [problem for problem in _flow_set(list(files.values()), Rules()).problems() if problem.file in asked]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _no_flows(folder: Path) -> Problem:
    missing = "there is no flow file in this folder" if folder.is_dir() else "there is no such folder"
    return Problem(file=str(folder), line=1, severity="error", message=missing)


def _flow_set(files: Iterable[Path], limits: Rules) -> FlowSet:
    sources = tuple(_read(path) for path in files)
    rules = limits
    for source in sources:
        if source.path.stem == RULES_STEM and not source.report.is_broken():
            rules = read_rules(source.text, source.report, limits)
    outlines = [
        (source, compile_flow(source.text, source.report))
        for source in sources
        if source.path.stem != RULES_STEM and not source.report.is_broken()
    ]
    known = _refuse_shared_ids([(source, outline.flow_id) for source, outline in outlines])
    compiled = tuple(outline.compiled for _, outline in outlines if outline.compiled is not None)
    for flow in compiled:
        _refuse_unknown_flows(flow, known)
    inspect(compiled)
    _warn_fights(compiled)
    _warn_late(compiled, rules)
    _warn_languages(sources, rules)
    return FlowSet(sources=sources, compiled=compiled, rules=rules)


def _read(path: Path) -> Source:
    report = Report(str(path))
    try:
        return Source(path=path, report=report, text=path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        report.error(1, "the file is not UTF-8; save it as UTF-8")
    except OSError as error:
        report.error(1, f"the file cannot be read: {error.strerror}")
    return Source(path=path, report=report, text="")


def _refuse_shared_ids(named: Sequence[tuple[Source, str]]) -> set[str]:
    first: dict[str, Source] = {}
    for source, flow_id in named:
        other = first.setdefault(flow_id, source)
        if flow_id and other is not source:
            source.report.error(1, f"the flow id {flow_id!r} is used before, in {other.path.name}; choose another")
    return set(first) - {""}


def _refuse_unknown_flows(compiled: Compiled, known: set[str]) -> None:
    for flow_id, block in compiled.switches:
        if flow_id not in known:
            block.error(f"there is no flow {flow_id!r}; {suggestion(flow_id, known)}", "target")


def _warn_fights(flows: Sequence[Compiled]) -> None:
    """Warn where two flows of the same priority wait for the same words."""
    first: dict[tuple[int, str], Compiled] = {}
    for compiled in flows:
        for trigger, block in compiled.triggers:
            for word in _waits_for(trigger):
                other = first.setdefault((compiled.flow.priority, word), compiled)
                if other is not compiled:
                    block.warn(
                        f"{word} also starts the flow {other.flow.flow_id!r}; give one of them a higher 'priority'"
                    )


def _waits_for(trigger: Trigger) -> list[str]:
    match trigger:
        case Keyword(values=values):
            return [f"the word {fold(value)!r}" for value in values]
        case Exact(value=value):
            return [f"the message {whole(value)!r}"]
        case FirstMessage():
            return ["a first message"]
        case _:
            return []


def _warn_late(flows: Sequence[Compiled], rules: Rules) -> None:
    for compiled in flows:
        for op, block in zip(compiled.flow.ops, compiled.blocks, strict=True):
            if isinstance(op, Ask | Menu):
                warn_if_late(block, op.remind, rules.session_timeout)


def _warn_languages(sources: Sequence[Source], rules: Rules) -> None:
    """Warn of texts by language that lack one: of those `rules.yaml` names, else of those any text is written in."""
    used = {language for source in sources for _, _, languages in source.report.languages for language in languages}
    declared = any(source.path.stem == RULES_STEM for source in sources)
    wanted = sorted(set(rules.languages) if declared else used)
    for source in sources:
        if source.path.stem == RULES_STEM:
            continue
        for line, step, languages in source.report.languages:
            if missing := [language for language in wanted if language not in languages]:
                source.report.warn(line, f"the text is missing in: {', '.join(missing)}", step)


def _version(found: FlowSet, limits: Rules) -> str:
    told = "\n".join([*(source.text for source in found.sources), repr(limits)])
    return hashlib.sha256(told.encode()).hexdigest()[:_VERSION_LENGTH]
