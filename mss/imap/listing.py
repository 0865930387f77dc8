"""Which names does LIST tell, and with which attributes? The tree of folders as one client sees it. Pure.

Folders are kept flat; a name above a folder that is none itself is shown as one that cannot be selected. Rules:
RFC 9051 §6.3.9 (RFC 5258), RFC 3501 §6.3.8 and §6.3.9, RFC 6154.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mss.imap.backend import Folder
from mss.imap.commands import List
from mss.imap.names import DELIMITER, INBOX, Pattern
from mss.model.mailbox import ONLY_HERE


@dataclass(slots=True)
class Node:
    """A name, with the folder that bears it (None: only others lie below it)."""

    name: str
    folder: Folder | None = None
    is_own: bool = False
    was_subscribed: bool = False
    """Its folder is gone, its subscription is not."""
    children: list[Node] = field(default_factory=list)

    @property
    def is_subscribed(self) -> bool:
        return self.was_subscribed if self.folder is None else self.folder.subscribed

    @property
    def is_there(self) -> bool:
        """A folder or a namespace, or something above one; not only a name that is still subscribed."""
        is_bare = self.folder is not None or not (self.children or self.was_subscribed)
        return is_bare or any(child.is_there for child in self.children)

    @property
    def special_use(self) -> str:
        """Of one's own folders only: a client must not file its drafts into a team's."""
        use = self.folder.special_use if self.folder is not None and self.is_own else None
        return "" if use is None or use in ONLY_HERE else f"\\{use}"

    def below(self) -> Iterator[Node]:
        for child in self.children:
            yield child
            yield from child.below()


@dataclass(frozen=True, slots=True)
class Line:
    """One LIST answer."""

    name: str
    attributes: tuple[str, ...]
    folder: Folder | None
    child_info: bool = False
    """A subscribed folder lies below and is not told by itself (CHILDINFO, RFC 5258 §4)."""


def tree(folders: Iterable[tuple[str, Folder]], prefixes: Sequence[str], lost: Iterable[str] = ()) -> list[Node]:
    """All nodes, INBOX first, then by name. `folders` come with the prefix of their namespace; `prefixes` names
    the shared namespaces, which exist even when empty; `lost` names that are subscribed without a folder."""
    nodes: dict[str, Node] = {}
    for prefix, folder in folders:
        node = _grow(nodes, prefix + folder.name)
        node.folder = folder
        node.is_own = not prefix
    for name in lost:
        _grow(nodes, name).was_subscribed = True
    for prefix in prefixes:
        _grow(nodes, prefix.removesuffix(DELIMITER))
    roots = tuple({prefix.partition(DELIMITER)[0] for prefix in prefixes})
    return sorted(nodes.values(), key=lambda node: _order(node.name, roots))


def _grow(nodes: dict[str, Node], name: str) -> Node:
    node = nodes.get(name)
    if node is None:
        node = nodes[name] = Node(name)
        above, slash, _ = name.rpartition(DELIMITER)
        if slash:
            _grow(nodes, above).children.append(node)
    return node


def _order(name: str, shared_roots: tuple[str, ...]) -> tuple[bool, bool, str, str]:
    """One's own folders first, INBOX before all, then by name."""
    root = name.partition(DELIMITER)[0]
    return root in shared_roots, root != INBOX, name.casefold(), name


def select(nodes: Sequence[Node], command: List) -> list[Line]:
    """What an extended or plain LIST answers."""
    patterns = [Pattern(command.reference, pattern) for pattern in command.patterns]
    lines = []
    for node in nodes:
        if _is_told(node, patterns):
            line = _line(node, command, patterns)
            if line is not None:
                lines.append(line)
    return lines


def _line(node: Node, command: List, patterns: Sequence[Pattern]) -> Line | None:
    wants = command.select
    chosen = _is_chosen(node, wants)
    child_info = False
    if "RECURSIVEMATCH" in wants:
        child_info = any(_is_chosen(below, wants) and not _is_told(below, patterns) for below in node.below())
    elif not wants & {"SUBSCRIBED", "SPECIAL-USE"}:
        chosen = node.is_there
    if not chosen and not child_info:
        return None
    show_subscribed = "SUBSCRIBED" in wants or "SUBSCRIBED" in command.returns
    attributes = attributes_of(node, basic=command.basic)
    if show_subscribed and node.is_subscribed:
        attributes.append("\\Subscribed")
    return Line(node.name, tuple(attributes), node.folder, child_info and "SUBSCRIBED" in wants)


def _is_told(node: Node, patterns: Sequence[Pattern]) -> bool:
    return any(pattern.matches(node.name) for pattern in patterns)


def _is_chosen(node: Node, wants: frozenset[str]) -> bool:
    if "SUBSCRIBED" in wants and not node.is_subscribed:
        return False
    return "SPECIAL-USE" not in wants or bool(node.special_use)


def attributes_of(node: Node, *, basic: bool) -> list[str]:
    """Attributes that every answer carries."""
    attributes = []
    if node.folder is None:
        attributes.append("\\Noselect" if basic else "\\NonExistent")
    attributes.append("\\HasChildren" if any(child.is_there for child in node.children) else "\\HasNoChildren")
    if use := node.special_use:
        attributes.append(use)
    return attributes


def select_subscribed(nodes: Sequence[Node], reference: str, pattern: str) -> list[Line]:
    """What LSUB answers: with `%`, a name above a subscribed folder that does not match itself is told as one that
    cannot be selected (RFC 3501 §6.3.9)."""
    shape = Pattern(reference, pattern)
    lines = []
    for node in nodes:
        if not shape.matches(node.name):
            continue
        if node.is_subscribed:
            lines.append(Line(node.name, () if node.folder else ("\\Noselect",), node.folder))
        elif any(below.is_subscribed and not shape.matches(below.name) for below in node.below()):
            lines.append(Line(node.name, ("\\Noselect",), None))
    return lines
