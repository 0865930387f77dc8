"""Which conversation does a subject belong to? Its base, without "Re:", "Fwd:", "[list]" (RFC 5256 §2.1). Pure."""

from __future__ import annotations

import re

from mss.formats.headers import decode_words

ROUNDS_MAX = 50
"""Prefixes taken off one subject; a line has no room for more that mean anything."""

_SPACES = re.compile(r"[\t ]+")
_TRAILER = re.compile(r"(?:\(fwd\)|[ \t])+\Z", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\][ \t]*")
_LEADER = re.compile(r"(?:[ \t]+|(?:\[[^\[\]]*\][ \t]*){0,20}(?:re|fwd?)[ \t]*(?:\[[^\[\]]*\][ \t]*)?:)", re.IGNORECASE)
_FORWARDED = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


def casemap(text: str) -> str:
    """For comparison (i;unicode-casemap, RFC 5051): capitals, so that letters stand before `_` and `[`."""
    return text.casefold().upper()


def base_subject(value: bytes) -> tuple[str, bool]:
    """(base subject for comparison, whether it is a reply or was forwarded) of a Subject field."""
    text = _SPACES.sub(" ", decode_words(value))
    is_reply = False
    for _ in range(ROUNDS_MAX):
        without = _TRAILER.sub("", text)
        is_reply = is_reply or len(without) < len(text.rstrip(" \t"))
        text, had_leader = _without_leaders(without)
        is_reply = is_reply or had_leader
        forwarded = _FORWARDED.match(text)
        if forwarded is None:
            break
        text, is_reply = forwarded[1], True
    return casemap(text), is_reply


def _without_leaders(text: str) -> tuple[str, bool]:
    had_leader = False
    for _ in range(ROUNDS_MAX):
        if leader := _LEADER.match(text):
            had_leader = had_leader or bool(leader[0].strip(" \t"))
            text = text[leader.end() :]
        elif (blob := _BLOB.match(text)) and blob.end() < len(text):
            text = text[blob.end() :]
        else:
            break
    return text, had_leader
