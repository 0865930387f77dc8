"""Which messages answer which? THREAD=REFERENCES (RFC 5256 §3): by their references, then by subject. Pure.

Strangers write the references: loops are not followed, nothing recurses with the depth of a conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Letter:
    """What is known of a message. `number` is how the answer names it."""

    number: int
    message_id: str
    references: tuple[str, ...]
    """Oldest first; the first of In-Reply-To when there is no References."""
    subject: str
    is_reply: bool
    sent_ms: int


@dataclass(slots=True, eq=False)
class _Node:
    """A message, or one that only others speak of (`letter` None)."""

    letter: Letter | None = None
    parent: _Node | None = None
    children: list[_Node] = field(default_factory=list)

    def first(self) -> Letter:
        """The message itself, or the first that answers it."""
        return self.letter or self.children[0].first()

    def order(self) -> tuple[int, int]:
        letter = self.first()
        return letter.sent_ms, letter.number

    def adopt(self, child: _Node) -> None:
        child.leave()
        child.parent = self
        self.children.append(child)

    def leave(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def has_above(self, other: _Node) -> bool:
        node: _Node | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False


def threads(letters: Iterable[Letter]) -> bytes:
    """The answer's lists: `(2)(3 6 (4 23)(44 7))`."""
    roots = _by_subject(_sorted(_pruned(_linked(letters))))
    for node in roots:
        node.children.sort(key=_Node.order)
    roots.sort(key=_Node.order)
    return b"".join(_written(roots))


def _linked(letters: Iterable[Letter]) -> list[_Node]:
    """Step 1: nodes joined by references; those without a parent."""
    nodes: dict[str, _Node] = {}
    everyone: list[_Node] = []

    def node_of(message_id: str) -> _Node:
        node = nodes.get(message_id)
        if node is None:
            node = nodes[message_id] = _Node()
            everyone.append(node)
        return node

    for letter in letters:
        node = node_of(letter.message_id) if letter.message_id else _Node()
        if node.letter is not None or not letter.message_id:  # an id said twice names the first
            node = _Node()
            everyone.append(node)
        node.letter = letter
        above: _Node | None = None
        for reference in letter.references:
            referred = node_of(reference)
            if above is not None and referred.parent is None and not _would_loop(referred, above):
                above.adopt(referred)
            above = referred
        if node.parent is not above:
            node.leave()  # who spoke of it before, had cut its references short
            if above is not None and not _would_loop(node, above):
                above.adopt(node)
    return [node for node in everyone if node.parent is None]


def _would_loop(child: _Node, parent: _Node) -> bool:
    return child is parent or (bool(child.children) and parent.has_above(child))


def _pruned(roots: list[_Node]) -> list[_Node]:
    """Steps 2 and 3: who is only spoken of goes; its children rise, to the top only when it is one."""
    for node in _deepest_first(roots):
        kept: list[_Node] = []
        for child in node.children:
            kept += [child] if child.letter is not None else child.children
        for child in kept:
            child.parent = node
        node.children = kept
    top: list[_Node] = []
    for root in roots:
        if root.letter is not None or len(root.children) > 1:
            top.append(root)
        elif root.children:
            root.children[0].parent = None
            top.append(root.children[0])
    return top


def _sorted(roots: list[_Node]) -> list[_Node]:
    """Siblings by date everywhere (steps 4 and 6)."""
    for node in _deepest_first(roots):
        node.children.sort(key=_Node.order)
    return sorted(roots, key=_Node.order)


def _deepest_first(roots: list[_Node]) -> list[_Node]:
    found = list(roots)
    for node in found:  # grows while it is walked
        found += node.children
    found.reverse()
    return found


def _by_subject(roots: list[_Node]) -> list[_Node]:
    """Step 5: threads about the same subject become one."""
    table: dict[str, _Node] = {}
    for node in roots:
        letter = node.first()
        standing = table.setdefault(letter.subject, node) if letter.subject else node
        if standing is not node and standing.letter is not None:
            is_better = node.letter is None or (standing.letter.is_reply and not letter.is_reply)
            if is_better:
                table[letter.subject] = node
    top: dict[_Node, None] = dict.fromkeys(roots)
    for node in roots:
        letter = node.first()
        standing = table.get(letter.subject, node)
        if standing is node:
            continue
        del top[node]
        if standing.letter is None and node.letter is None:
            for child in list(node.children):
                standing.adopt(child)
        elif standing.letter is None or (letter.is_reply and not standing.letter.is_reply):
            standing.adopt(node)
        else:
            both = _Node()
            del top[standing]
            both.adopt(standing)
            both.adopt(node)
            top[both] = None
            table[letter.subject] = both
    return list(top)


def _written(roots: list[_Node]) -> Iterator[bytes]:
    """Lists within lists, without recursion. A chain goes on in its list, a fork opens one for each branch."""
    stack: list[_Node | bytes] = list(reversed(roots))
    while stack:
        node = stack.pop()
        if isinstance(node, bytes):
            yield node
            continue
        yield b"("
        numbers = []
        while True:
            if node.letter is not None:
                numbers.append(b"%d" % node.letter.number)
            if len(node.children) != 1:
                break
            node = node.children[0]
        yield b" ".join(numbers)
        stack.append(b")")
        if node.children:
            if numbers:
                yield b" "
            stack += reversed(node.children)
