"""Reads a Dockerfile into its stages and instructions; takes only the forms that ours uses."""

import json
import re
from collections.abc import Mapping, Sequence

import msgspec

FLAG = re.compile(r"--([a-z-]+)=(\S+)\s*")
PAIR = re.compile(r'([\w.]+)=(?:"([^"]*)"|(\S*))')
VARIABLE = re.compile(r"\$\{?(\w+)\}?")


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """`COPY --from=build /a /b` is `COPY`, `{"from": "build"}`, `/a /b`."""

    name: str
    flags: Mapping[str, str]
    value: str

    def argv(self) -> Sequence[str]:
        """The exec form; a shell form is an error, because a shell would stand between the process and its signals."""
        words = json.loads(self.value)
        assert all(isinstance(word, str) for word in words)
        return list(words)

    def pairs(self) -> Mapping[str, str]:
        return {name: quoted or plain for name, quoted, plain in PAIR.findall(self.value)}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    base: str
    instructions: Sequence[Instruction]

    def all(self, name: str) -> Sequence[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]

    def only(self, name: str) -> Instruction:
        (instruction,) = self.all(name)
        return instruction

    def environment(self) -> Mapping[str, str]:
        return {name: value for each in self.all("ENV") for name, value in each.pairs().items()}


def stages(text: str) -> Sequence[Stage]:
    """In order; an `ARG` before the first stage is filled into their bases."""
    defaults: dict[str, str] = {}
    found: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            base, _, name = instruction.value.partition(" AS ")
            filled = VARIABLE.sub(lambda variable: defaults[variable[1]], base)
            found.append(Stage(name=name or str(len(found)), base=filled, instructions=[]))
        elif not found:
            assert instruction.name == "ARG", f"{instruction.name} before the first stage"
            defaults.update(instruction.pairs())
        else:
            found[-1] = msgspec.structs.replace(found[-1], instructions=[*found[-1].instructions, instruction])
    return found


def _instructions(text: str) -> Sequence[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [_instruction(line) for line in whole.splitlines()]


def _instruction(line: str) -> Instruction:
    name, _, rest = line.partition(" ")
    flags: dict[str, str] = {}
    rest = rest.strip()
    while name != "RUN" and (flag := FLAG.match(rest)):
        flags[flag[1]] = flag[2]
        rest = rest[flag.end() :]
    return Instruction(name=name, flags=flags, value=rest)
