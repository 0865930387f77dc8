"""What does mbsync want to be told of one mailbox of ours and a Maildir?"""

from __future__ import annotations

MBSYNCRC = """\
IMAPAccount house
Host localhost
Port {port}
User {user}
Pass {password}
SSLType IMAPS
CertificateFile {ca}

IMAPStore far
Account house

MaildirStore near
Path {directory}/
Inbox {directory}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {folders}
Create Both
Expunge Both
SyncState *
"""
"""To be formatted with port, user, password, ca, directory and folders (on the wire, with spaces between)."""
