"""What does an archive ask beside "file these documents"? Its associations and folders, one by one.

A judge of values (IHE ITI TF-3 §4.2.2, §4.2.3.4). What is carried out: membership, replacement (RPLC, XFRM_RPLC), an
addendum, a transformed or a signature document (APND, XFRM, signs), folders that come with their documents. Everything
else asks for something about what stands here already; it is held, each kind for its own reason, and never skipped: a
sender who asks for more than we do must not read that all is done.
"""

from __future__ import annotations

from mss.bridge.facts import Problem
from mss.formats.xdm import Submission
from mss.formats.xdsvalues import Association
from mss.model.verdict import Reason

MEMBER = "HasMember"
STATUS = "UpdateAvailabilityStatus"
REPLACING = frozenset({"RPLC", "XFRM_RPLC"})
ADDING = frozenset({"APND", "XFRM", "signs"})
"""The new document stands beside the one that it names, which keeps its place."""


def objection(submission: Submission) -> Problem | None:
    """The first thing that is asked and not done here; None when all of it is."""
    for link in submission.associations:
        if (problem := _of_link(submission, link)) is not None:
            return problem
    return _of_folders(submission)


def _of_link(submission: Submission, link: Association) -> Problem | None:
    if link.new_status or link.kind == STATUS:
        return Problem(Reason.STATUS_CHANGE_ASKED)
    if link.kind == MEMBER:
        return None
    if link.kind not in REPLACING | ADDING:
        return Problem(Reason.RELATION_UNKNOWN)
    if link.source not in _documents(submission):
        return Problem(Reason.RELATION_UNKNOWN, "a relation without its document")
    return None


def _of_folders(submission: Submission) -> Problem | None:
    """A folder holds what comes with it, and nothing else. Writers who misspell the id of the submission set, so that
    one stranger stands in its place everywhere, are understood."""
    members = [link for link in submission.associations if link.kind == MEMBER]
    folders = {folder.entry_uuid for folder in submission.folders}
    ours = folders | {submission.set.entry_uuid}
    strangers = {link.source for link in members} - ours
    says_its_set = any(link.source == submission.set.entry_uuid for link in members)
    if len(strangers) > 1 or (strangers and says_its_set):
        return Problem(Reason.FOLDER_NOT_CARRIED_OUT, "into a folder that is not in the archive")
    documents = _documents(submission)
    for folder in folders:
        held = {link.target for link in members if link.source == folder}
        if not held:
            return Problem(Reason.FOLDER_NOT_CARRIED_OUT, "an empty folder")
        if held - documents:
            return Problem(Reason.FOLDER_NOT_CARRIED_OUT, "a document that is not in the archive")
    return None


def _documents(submission: Submission) -> frozenset[str]:
    return frozenset(document.entry.entry_uuid for document in submission.documents)


def folders_of(submission: Submission, entry_uuid: str) -> tuple[str, ...]:
    """The titles of the folders that hold a document, in the order of the archive."""
    holders = {link.source for link in submission.associations if link.kind == MEMBER and link.target == entry_uuid}
    return tuple(folder.title or folder.unique_id for folder in submission.folders if folder.entry_uuid in holders)


def added_to(submission: Submission, entry_uuid: str) -> tuple[str, str]:
    """The document (an entry id) to which this one is an addendum, of which it is another form, or which it signs, and
    which of these; empty when none."""
    links = (link for link in submission.associations if link.kind in ADDING and link.source == entry_uuid)
    return next(((link.target, link.kind) for link in links), ("", ""))
