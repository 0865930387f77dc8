"""What a professional does with Thunderbird: run by test_thunderbird.py in a network of its own, as one journey.

In there are names and the well-known ports, so that Thunderbird finds its servers by itself. Who belongs to this
process number space ends with it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mss.crypto.authority import Authority
from mss.demo import papers
from mss.demo.people import CHU, TIERS, VILLE
from tests.kit import programs
from tests.kit.demo import Demo, letter, on_the_wire, until
from tests.kit.marionette import PORT, Marionette

HOST = papers.OPERATORS["A"].common_name
NAMES = ("localhost", HOST, *(prefix + domain for domain in (CHU, VILLE) for prefix in ("", "autoconfig.")))
DISPLAY = ":77"
PATIENT = f"279035121518989@{TIERS}"
SENT, WAITING = "Envoy&AOk-s", "Sans r&AOk-ponse"
SETTINGS: dict[str, Any] = {
    "marionette.port": PORT,
    "network.manage-offline-status": False,  # a machine with nothing but itself is no reason to be offline
    "offline.autoDetect": False,
    "network.connectivity-service.enabled": False,
    "app.update.enabled": False,
    "extensions.update.enabled": False,
    "mailnews.start_page.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mail.rights.version": 1,
    "mail.inappnotifications.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "browser.safebrowsing.enabled": False,
    "mail.identity.default.compose_html": False,
    "mail.biff.show_alert": False,
}
TRUST = """
const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
for (const pem of args[0].split("-----END CERTIFICATE-----").slice(0, -1)) {
  db.addCertFromBase64(pem.replace("-----BEGIN CERTIFICATE-----", "").replace(/\\s/g, ""), "C,,");
}
"""
SIGN_IN = """
const load = name => ChromeUtils.importESModule(`resource:///modules/accountcreation/${name}.sys.mjs`);
const [name, address, password] = args;
const search = load("FindConfig").FindConfig.parallelAutoDiscovery(
  address.split("@")[1], address, new AbortController().signal);
const config = (await search.next()).value;
load("AccountConfig").AccountConfig.replaceVariables(config, name, address, password);
config.rememberPassword = true;
config.incoming.password = config.outgoing.password = password;
await load("CreateInBackend").CreateInBackend.createAccountInBackend(config);
return [config.subSource, config.incoming.hostname, config.incoming.port, config.outgoing.port];
"""
ADDRESS_BOOK = """
const [url, name, password] = args;
const id = MailServices.ab.newAddressBook("Annuaire", url, Ci.nsIAbManager.LDAP_DIRECTORY_TYPE);
const book = MailServices.ab.getDirectoryFromId(id).QueryInterface(Ci.nsIAbLDAPDirectory);
book.authDn = name;
const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
login.init(book.lDAPURL.prePath, null, book.lDAPURL.spec, "", password, "", "");
await Services.logins.addLoginAsync(login);
Services.prefs.setBoolPref("ldap_2.autoComplete.useDirectory", true);
Services.prefs.setCharPref("ldap_2.autoComplete.directoryServer", book.dirPrefId);
"""
TO_FIELD = "const field = Services.wm.getMostRecentWindow('msgcompose').document.getElementById('toAddrInput');"
SHOWN_TEXT = """
const browser = pane().messageBrowser?.contentWindow?.getMessagePaneBrowser();
return browser?.contentDocument?.body?.textContent.includes(args[0]);
"""


@dataclass
class Desk:
    """A professional of a team, Thunderbird before her, the demo behind."""

    demo: Demo
    thunderbird: Marionette
    person: dict[str, Any]
    team: str
    pictures: Path

    def picture(self, name: str, window: str = "mail:3pane") -> None:
        self.thunderbird.picture(self.pictures / f"thunderbird-{name}.png", window)

    def opens(self, folder: str, count: int) -> None:
        """Shows a folder, once it has so many messages."""
        self.thunderbird.run("pane().displayFolder(folder(args[0]).URI)", folder)
        shown = (
            "return pane().folderTree && pane().gDBView?.rowCount === args[0] && pane().gFolder.URI.endsWith(args[1])"
        )
        self.thunderbird.until(shown, count, folder)

    def reads(self, text: str) -> None:
        """Opens the last message of the folder that is shown, and sees that text."""
        self.thunderbird.run("pane().threadTree.selectedIndex = pane().gDBView.rowCount - 1")
        self.thunderbird.until(SHOWN_TEXT, text)

    def gets(self, sender: str, to: str, subject: str, text: str) -> None:
        self.demo.relay(sender, [to], on_the_wire(letter(sender, to, subject, text)))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Everything that this little world needs; it ends with the world."""
    home = tmp_path_factory.mktemp("tb")
    (home / "hosts").write_text(f"127.0.0.1 {' '.join(NAMES)}\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", str(home / "hosts"), "/etc/hosts"], check=True)
    demo = Demo()
    demo.base = 0
    now = datetime.now(UTC)
    made = papers.prepare(demo.directory, now)
    authority = Authority.load(made.keys / "authority")
    named = authority.issue(papers.OPERATORS["A"], now=now, names=(*NAMES, "127.0.0.1"))
    named.write(made.keys, "service-A")  # a demo's own names loopback only
    profile = home / "profile"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in SETTINGS.items()]
    (profile / "user.js").write_text("\n".join(lines))
    screen = [str(programs.require("Xvfb")), DISPLAY, "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    program = [str(programs.require("thunderbird")), "--profile", str(profile), "--no-remote", "--marionette"]
    environment = os.environ | {
        "HOME": str(home),
        "DISPLAY": DISPLAY,
        "MOZ_CRASHREPORTER_DISABLE": "1",
        "LANG": "C.UTF-8",
    }
    with (home / "log").open("wb") as log:
        xvfb = subprocess.Popen(screen, stdout=log, stderr=log)
        until(lambda: Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists())
        running = subprocess.Popen([*program, "--remote-allow-system-access"], stdout=log, stderr=log, env=environment)
        demo.start()
        thunderbird = Marionette()
        thunderbird.run(TRUST, Path(demo.told["ca"]).read_text())
        team = next(one for one in demo.told["team_mailboxes"] if one["operator"] == "A")
        person = next(one for one in demo.told["professionals"] if one["address"] == team["members"][0])
        pictures = Path(os.environ.get("MSS_SCREENSHOTS", home))
        pictures.mkdir(parents=True, exist_ok=True)
        yield Desk(demo, thunderbird, person, team["address"], pictures)
        thunderbird.close()
        for process in (running, xvfb):
            process.terminate()
            process.wait(20)
        demo.remove()


def test_it_finds_its_servers_by_the_address_alone(desk: Desk) -> None:
    """Its own discovery asks our page over HTTPS; name, address and password are all that is typed."""
    person = desk.person
    found = desk.thunderbird.run(SIGN_IN, person["name"], person["address"], person["password"])
    assert found == ["xml-from-isp-https", HOST, 993, 465]
    desk.opens("INBOX", 0)
    desk.thunderbird.until("return !!folder(args[0])", f"{desk.team}/INBOX")
    uses = desk.thunderbird.run(
        "return Object.fromEntries(server().rootFolder.subFolders.map(one => [one.name, one.flags]))"
    )
    assert uses["Envoyés"] & 0x200
    assert uses["Corbeille"] & 0x100
    assert "Sans réponse" in uses
    desk.picture("1-folders")


def test_new_mail_is_pushed_and_read(desk: Desk) -> None:
    """Nobody asks: it stands there, and opens with its text."""
    desk.gets(PATIENT, desk.person["address"], "Question", "Bonjour docteur, le pansement est-il à changer ?")
    desk.thunderbird.until("return folder('INBOX').getTotalMessages(false) === 1", seconds=20)
    desk.thunderbird.until("return pane().gDBView.rowCount === 1")
    desk.reads("le pansement est-il à changer")
    desk.picture("2-read")
    with desk.demo.imap(desk.person["address"]) as client:
        client.select("INBOX", readonly=True)
        until(lambda: client.uid("SEARCH", "SEEN")[1][0].split(), 20)


def test_the_patient_waits_until_the_answer_leaves_and_stands_once(desk: Desk) -> None:
    """In "Sans réponse" before, not after; one message among what was sent; the other one is marked as answered."""
    thunderbird = desk.thunderbird
    desk.opens(WAITING, 1)
    desk.reads("le pansement est-il à changer")
    desk.picture("3-waits")
    thunderbird.run("mail3().goDoCommand('cmd_reply')")
    ready = "return !!Services.wm.getMostRecentWindow('msgcompose')?.gMsgCompose?.editor"
    thunderbird.until(ready)
    thunderbird.run("Services.wm.getMostRecentWindow('msgcompose').GetCurrentEditor().insertText('Oui, demain matin.')")
    desk.picture("4-reply", "msgcompose")
    thunderbird.run("Services.wm.getMostRecentWindow('msgcompose').goDoCommand('cmd_sendNow')")
    thunderbird.until("return !Services.wm.getMostRecentWindow('msgcompose')")
    with desk.demo.imap(desk.person["address"]) as client:
        client.select(SENT, readonly=True)
        assert len(client.uid("SEARCH", "ALL")[1][0].split()) == 1
        assert client.uid("SEARCH", "TEXT", '"Oui, demain matin."')[1][0]
        client.select(f'"{WAITING}"', readonly=True)
        assert client.uid("SEARCH", "ALL")[1][0] == b""
    desk.opens(SENT, 1)
    desk.reads("Oui, demain matin.")
    desk.picture("5-sent")
    desk.opens(WAITING, 0)


def test_the_server_searches_for_it(desk: Desk) -> None:
    """Words of a body, found without fetching what is searched."""
    for number in range(3):
        desk.gets(f"labo@{TIERS}", desk.person["address"], f"Bilan {number}", f"Créatinine : {70 + number} µmol/L")
    desk.opens("INBOX", 4)
    found = desk.thunderbird.run("""
      const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
      session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder("INBOX"));
      const term = session.createTerm();
      term.attrib = Ci.nsMsgSearchAttrib.Body;
      term.op = Ci.nsMsgSearchOp.Contains;
      const value = term.value;
      [value.attrib, value.str] = [term.attrib, "71 µmol"];
      term.value = value;
      session.appendTerm(term);
      const hits = [];
      await new Promise(resolve => {
        session.registerListener({
          onSearchHit: header => hits.push(header.mime2DecodedSubject),
          onSearchDone: resolve,
          onNewSearch() {},
        });
        session.search(null);
      });
      return hits;
    """)
    assert found == ["Bilan 1"]
    desk.opens("INBOX", 4)
    desk.picture("6-inbox")


def test_the_team_sees_who_has_taken_a_message(desk: Desk) -> None:
    """A letter to the team is read under its name; the star says by whom it is taken, to a colleague too."""
    desk.gets(PATIENT, desk.team, "Rendez-vous", "Puis-je venir jeudi ?")
    inbox = f"{desk.team}/INBOX"
    desk.opens(inbox, 1)
    desk.reads("Puis-je venir jeudi")
    desk.thunderbird.run("mail3().goDoCommand('cmd_markAsFlagged')")
    colleague = next(
        one["address"]
        for one in desk.demo.told["professionals"]
        if one["address"].endswith(CHU) and one["address"] != desk.person["address"]
    )
    taken = b"$MSSTakenBy-" + desk.person["address"].partition("@")[0].encode()
    with desk.demo.imap(colleague) as client:
        client.select(f'"Bo&AO4-tes partag&AOk-es/{inbox}"', readonly=True)
        until(lambda: taken in str(client.fetch("1", "(FLAGS)")[1]).encode() and client.noop(), 20)
    desk.picture("7-team")


def test_a_colleague_is_completed_from_the_address_book(desk: Desk) -> None:
    """A few letters in the To field, our address book over TLS with her application password; chosen, it is a name with
    an address."""
    thunderbird, at = desk.thunderbird, desk.demo.told["operator"]["ldaps"]
    url = f"ldaps://localhost:{at['port']}/ou=bal,o=mssante,c=fr??sub?(objectclass=*)"
    thunderbird.run(ADDRESS_BOOK, url, desk.person["username"], desk.person["password"])
    thunderbird.run("mail3().goDoCommand('cmd_newMessage')")
    thunderbird.until("return !!Services.wm.getMostRecentWindow('msgcompose')?.gMsgCompose?.editor")
    thunderbird.run(f"{TO_FIELD} field.focus(); field.value = 'rous'; field.controller.startSearch('rous');")
    found = thunderbird.until(
        f"{TO_FIELD} return field.controller.matchCount > 0 && field.controller.getValueAt(0);", seconds=20
    )
    assert found == "Dr Inès ROUSSEL <ines.roussel@labo.mssante.example> — Annuaire"
    thunderbird.run(f"{TO_FIELD} field.controller.handleEnter(false);")
    thunderbird.until(f"{TO_FIELD} return !!field.ownerDocument.querySelector('mail-address-pill');")
    desk.picture("8-completed", "msgcompose")
