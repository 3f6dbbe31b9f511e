"""Adds and removes items of block lists in a YAML text, line by line.

All else stays as written: comments, order, quotes. Only the usual style of people and programs can
be edited: block lists in block mappings. The caller compares the result with the intended object,
as the meaning of a line depends on the lines around it.

Values are read as text (`true` is "true"), so no value can be malformed. Aliases are refused: a few
lines of them can expand beyond any memory.
"""

from collections.abc import Collection

import yaml

from lws_placement.engine.base.raw import Raw
from lws_placement.errors import SettingsError

MOST_BYTES = 65536
_DEEPEST = 50


def read_mapping(text: str) -> Raw:
    """The single document of a YAML or JSON text. Raises SettingsError."""
    if len(text) > MOST_BYTES:
        raise SettingsError(f"is larger than {MOST_BYTES} bytes")
    try:
        _refuse_bombs(text)
        found = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as e:
        raise SettingsError(f"is not one YAML document: {_short(e)}") from e
    if not isinstance(found, dict):
        raise SettingsError("is not an object")
    return found


def _refuse_bombs(text: str) -> None:
    """Refuses texts that take more time or memory to load than their length suggests."""
    depth = 0
    for event in yaml.parse(text):
        if isinstance(event, yaml.AliasEvent):
            raise SettingsError("has YAML aliases (*name): write out what they stand for")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise SettingsError(f"is nested deeper than {_DEEPEST} levels")


def _short(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1})" if mark is not None else problem


class Lines:
    """An edit of a text that `read_mapping` has accepted."""

    def __init__(self, text: str) -> None:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        assert isinstance(root, yaml.MappingNode), "read_mapping was not asked"
        self.root = root
        self._lines = text.split("\n")
        self._added: dict[int, list[str]] = {}
        self._removed: set[int] = set()

    def text(self) -> str:
        kept: list[str] = []
        for number, line in enumerate(self._lines):
            if number not in self._removed:
                kept.append(line)
            kept += self._added.get(number, ())
        return "\n".join(kept)

    def append(self, owner: yaml.MappingNode, key: str, item: str | Raw) -> None:
        """Adds an item to the list `key` of a mapping; creates a missing list."""
        dumped = yaml.safe_dump([item], default_flow_style=False, sort_keys=True).splitlines()
        found = _value(owner, key)
        if found is None:
            new = [f"{key}:", *dumped]
            self._insert(owner, new, indent=owner.start_mark.column)
        else:
            self._insert(found, dumped, indent=_block(found, key).start_mark.column)

    def remove(self, owner: yaml.MappingNode, key: str, indexes: Collection[int]) -> None:
        """Removes items of the list `key`, and the list itself if it becomes empty."""
        found = _value(owner, key)
        if found is None or not indexes:
            return
        items = _block(found, key).value
        if len(indexes) == len(items):
            self._remove_member(owner, found)
        for index in indexes:
            item = items[index]
            self._removed |= set(range(item.start_mark.line, _last_line(item) + 1))

    def _remove_member(self, owner: yaml.MappingNode, gone: yaml.Node) -> None:
        at = next(i for i, (_, value) in enumerate(owner.value) if value is gone)
        start = owner.value[at][0].start_mark
        before = self._lines[start.line][: start.column]
        if before.strip() and at + 1 < len(owner.value):  # a dash, which moves to the next member
            line = owner.value[at + 1][0].start_mark.line
            self._lines[line] = before + self._lines[line][start.column :]
        self._removed |= set(range(start.line, _last_line(gone) + 1))

    def _insert(self, after: yaml.Node, lines: list[str], *, indent: int) -> None:
        at = self._added.setdefault(_last_line(after), [])
        at += [" " * indent + line for line in lines]


def member(owner: yaml.MappingNode, key: str) -> yaml.MappingNode:
    """A member of `owner` that must be a mapping."""
    found = _value(owner, key)
    assert isinstance(found, yaml.MappingNode), key
    return found


def members(owner: yaml.MappingNode, key: str) -> list[yaml.MappingNode]:
    """The items of a member of `owner` that must be a list of mappings."""
    found = _value(owner, key)
    assert isinstance(found, yaml.SequenceNode), key
    return [item for item in found.value if isinstance(item, yaml.MappingNode)]


def _value(owner: yaml.MappingNode, key: str) -> yaml.Node | None:
    """The last member named `key`, as the YAML loader resolves duplicates."""
    return next((v for k, v in reversed(owner.value) if k.value == key), None)


def _block(node: yaml.Node, key: str) -> yaml.SequenceNode:
    if not isinstance(node, yaml.SequenceNode) or node.flow_style:
        raise SettingsError(
            f"{key} is not written as a list with a line for each item; write it so and try again"
        )
    return node


def _last_line(node: yaml.Node) -> int:
    """The last line of a node's text. A block collection's end mark is at the next token, so this
    descends to the last item.
    """
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.line
    return end - 1 if node.end_mark.column == 0 and end > node.start_mark.line else end
