"""A remote control for Thunderbird: the Marionette protocol, as much of it as tests need.

Messages are JSON arrays behind their length and a colon: `[0, id, command, parameters]` is asked, `[1, id, error,
result]` answered. Scripts run in the program's own (chrome) context, with everything that it is made of.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from pathlib import Path
from typing import Any

PORT = 2828
SCRIPT_S = 40.0
"""What a script may take: on a loaded machine Thunderbird is slow."""
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const mail3 = () => Services.wm.getMostRecentWindow("mail:3pane");
const pane = () => mail3().document.getElementById("tabmail").currentAbout3Pane;
const server = () => MailServices.accounts.defaultAccount.incomingServer;
const folder = name => server().rootFolder.descendants.find(one => one.URI.endsWith(name));
"""
"""What scripts may use. `folder` finds one by the end of its address, which is its name in modified UTF-7."""
PICTURE = """
const win = Services.wm.getMostRecentWindow(args[0]);
const bitmap = await win.browsingContext.currentWindowGlobal.drawSnapshot(null, 1, "white");
const canvas = win.document.createElementNS("http://www.w3.org/1999/xhtml", "canvas");
[canvas.width, canvas.height] = [bitmap.width, bitmap.height];
canvas.getContext("2d").drawImage(bitmap, 0, 0);
return canvas.toDataURL().split(",")[1];
"""


class ScriptFailed(AssertionError):
    """What Thunderbird says went wrong."""


class Marionette:
    """A session."""

    def __init__(self, patience_s: float = 60.0) -> None:
        """Raises AssertionError when nobody listens in time."""
        self._socket = _connect(patience_s)
        self._buffer = b""
        self._number = 0
        self._message()  # who it is
        self.ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})
        self.ask("Marionette:SetContext", {"value": "chrome"})
        self.ask("WebDriver:SetTimeouts", {"script": int(SCRIPT_S * 1000)})

    def ask(self, command: str, parameters: dict[str, Any]) -> Any:
        """Raises ScriptFailed."""
        self._number += 1
        text = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(text), text))
        _, number, error, result = self._message()
        assert number == self._number
        if error is not None:
            raise ScriptFailed(f"{error.get('error')}: {error.get('message')}")
        return result

    def run(self, script: str, *arguments: Any) -> Any:
        """The body of an asynchronous function; `arguments` are its `args`; what it returns. Raises ScriptFailed."""
        body = (
            "const done = arguments[arguments.length - 1]; const args = Array.from(arguments).slice(0, -1);"
            f"(async () => {{ {PRELUDE} {script} }})()"
            ".then(value => done({value: value === undefined ? null : value}),"
            " error => done({error: String(error) + '\\n' + (error && error.stack)}));"
        )
        asked = {"script": body, "args": list(arguments), "newSandbox": True, "sandbox": "system"}
        answer = self.ask("WebDriver:ExecuteAsyncScript", asked)["value"]
        if "error" in answer:
            raise ScriptFailed(answer["error"])
        return answer["value"]

    def until(self, script: str, *arguments: Any, seconds: float = 40.0) -> Any:
        """The first answer of a script that is something."""
        deadline = time.monotonic() + seconds
        while not (answer := self.run(script, *arguments)):
            assert time.monotonic() < deadline, f"nothing within {seconds:.0f} s: {script}"
            time.sleep(0.1)
        return answer

    def picture(self, path: Path, window: str = "mail:3pane") -> None:
        """A window as it looks."""
        path.write_bytes(base64.b64decode(self.run(PICTURE, window)))

    def close(self) -> None:
        self._socket.close()

    def _message(self) -> Any:
        while b":" not in self._buffer:
            self._buffer += self._receive()
        length, _, rest = self._buffer.partition(b":")
        while len(rest) < int(length):
            rest += self._receive()
        self._buffer = rest[int(length) :]
        return json.loads(rest[: int(length)])

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 16)
        assert data, "Thunderbird has hung up"
        return data


def _connect(patience_s: float) -> socket.socket:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return socket.create_connection(("127.0.0.1", PORT), timeout=SCRIPT_S + 20)
        except OSError:
            assert time.monotonic() < deadline, "Thunderbird does not listen"
            time.sleep(0.1)
