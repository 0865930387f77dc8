"""What the operator decides: a wrong setting is one line that names it, and nothing wrong goes by unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from mss import config, sections
from mss.config import Config, load
from mss.model.errors import BadValue

GOOD = """
name = "CHU de l'Exemple"
host = "relais.chu.mssante.example"
domains = ["chu.mssante.example", "Patient.MSSante.example"]
patient_domain = "patient.mssante.example"
postmaster = "dsi@chu.mssante.example"
state_dir = "state"
keys_dir = "keys"

[relay]
listen = {host = "0.0.0.0", port = 25}
tls = {certificate = "relay.pem", key = "/etc/keys/relay.key"}
authorities = "authorities.pem"
trust_list = "list.xml"
trust_list_signers = ["liste.mssante.example"]
revocation_lists = ["a.crl", "b.crl"]
routes = {"Labo.mssante.example" = {host = "10.0.0.7", port = 25}}

[web]
http = {port = 8080}
"""


def file(folder: Path, text: str) -> Path:
    path = folder / "mss.toml"
    path.write_text(text)
    return path


def loaded(folder: Path, text: str = GOOD) -> Config:
    return load(file(folder, text))


def test_a_good_file_says_what_it_says(tmp_path: Path) -> None:
    """Names in lower case, paths relative to the file, defaults under it."""
    read = loaded(tmp_path)
    assert read.domains == ("chu.mssante.example", "patient.mssante.example")
    assert read.state_dir == tmp_path / "state"
    assert read.relay.revocation_lists == (tmp_path / "a.crl", tmp_path / "b.crl")
    assert read.relay.tls.key == Path("/etc/keys/relay.key")
    assert list(read.relay.routes) == ["labo.mssante.example"]
    assert read.url == f"sqlite:///{tmp_path}/state/mss.db"
    assert read.web is not None
    assert read.web.http == sections.Listen(port=8080)
    assert read.imap is None


WRONG: list[tuple[str, str, str, str]] = [
    ("a missing name", 'name = "CHU de l\'Exemple"\n', "", "name: is needed"),
    ("a slip of the pen", 'state_dir = "state"', 'state_dirr = "state"', "state_dirr: there is no such setting"),
    ("a missing section", "[relay]", "[delay]", "relay: is needed"),
    ("a host that is none", '"relais.chu.mssante.example"', '"relais chu"', "host: not a domain name"),
    ("no domain", 'domains = ["chu.mssante.example", "Patient.MSSante.example"]', "domains = []", "domains: "),
    ("a domain that is none", '"Patient.MSSante.example"]', '"patient_mssante.example"]', "domains: not a domain name"),
    ("a text for a list", '["chu.mssante.example", "Patient.MSSante.example"]', '"chu.mssante.example"', "domains: "),
    (
        "patients elsewhere",
        'patient_domain = "patient.mssante.example"',
        'patient_domain = "autre.example"',
        "patient_domain: autre.example is not among domains",
    ),
    ("a postmaster who is none", '"dsi@chu.mssante.example"', '"dsi"', "postmaster: no @ in address"),
    (
        "a table of somebody's mail for somebody else",
        "[web]",
        '[bridge]\nnightly = {"bio@labo.example" = "moi@autre.example"}\n[web]',
        "bridge: nightly: what became of mail of bio@labo.example is told to addresses of labo.example only",
    ),
    (
        "a postmaster elsewhere",
        '"dsi@chu.mssante.example"',
        '"dsi@x.example"',
        "postmaster: x.example is not among domains",
    ),
    ("keys in the state", 'keys_dir = "keys"', 'keys_dir = "state/keys"', "keys_dir: keys lie outside state_dir"),
    ("a port that is none", "port = 25}\ntls", "port = 70000}\ntls", "relay.listen.port: "),
    ("a word for a port", "port = 25}\ntls", 'port = "smtp"}\ntls', "relay.listen.port: "),
    ("no key", ', key = "/etc/keys/relay.key"', "", "relay.tls.key: is needed"),
    (
        "a second certificate for nobody",
        "revocation_lists",
        'more_tls = [{certificate = "b.pem", key = "b.key", domains = []}]\nrevocation_lists',
        "relay.more_tls.0.domains: ",
    ),
    (
        "a second certificate for a domain of others",
        "revocation_lists",
        'more_tls = [{certificate = "b.pem", key = "b.key", domains = ["x.example"]}]\nrevocation_lists',
        "relay: x.example is not among domains",
    ),
    (
        "two certificates for one domain",
        "revocation_lists",
        'more_tls = [{certificate = "b.pem", key = "b.key", domains = ["chu.mssante.example", "CHU.MSSante.example"]}]'
        "\nrevocation_lists",
        "relay: more_tls names chu.mssante.example twice",
    ),
    (
        "a responder that nobody asks",
        "revocation_lists",
        'ocsp_responder = "http://o.example"\nrevocation_lists',
        "relay.ocsp_responder: asked only with",
    ),
    ("nobody signs", '["liste.mssante.example"]', "[]", "relay.trust_list_signers: "),
    ("no list", 'trust_list = "list.xml"\n', "", "relay.trust_list_url: either this or trust_list"),
    (
        "two lists",
        'trust_list = "list.xml"\n',
        'trust_list = "list.xml"\ntrust_list_url = "https://liste.mssante.example/l.xml"\n',
        "relay.trust_list_url: either this or trust_list",
    ),
    (
        "a list in clear",
        'trust_list = "list.xml"\n',
        'trust_list_url = "http://liste.mssante.example/l.xml"\n',
        "relay.trust_list_url: not an address that begins with https://",
    ),
    ("a route to nowhere", '"Labo.mssante.example"', '"labo"', "relay.routes: not a domain name"),
    (
        "no connections",
        "revocation_lists",
        "connections_per_peer_max = 0\nrevocation_lists",
        "relay.connections_per_peer_max: ",
    ),
    ("https without certificate", "http = {port = 8080}", "https = {port = 443}", "web.tls: https needs a certificate"),
    (
        "pages for everybody without TLS",
        "http = {port = 8080}",
        'http = {host = "0.0.0.0", port = 8080}\nserve_pages_on_http = true',
        "web.serve_pages_on_http: pages over plain HTTP",
    ),
    ("another database", "[relay]", 'database_url = "mysql://x"\n[relay]', "database_url: use sqlite:///PATH or"),
    ("a level that is none", "[relay]", 'log_level = "loud"\n[relay]', "log_level: one of debug, info"),
]


@pytest.mark.parametrize(("old", "new", "told"), [pytest.param(*rest, id=name) for name, *rest in WRONG])
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path, old: str, new: str, told: str) -> None:
    """The file, the setting, what is wrong."""
    assert old in GOOD
    with pytest.raises(BadValue) as refused:
        loaded(tmp_path, GOOD.replace(old, new, 1))
    lines = str(refused.value).splitlines()
    assert any(line.startswith(f"{tmp_path}/mss.toml: {told}") for line in lines), lines


def test_every_wrong_setting_has_its_line(tmp_path: Path) -> None:
    """Who mends a file mends it once."""
    text = (
        GOOD.replace('name = "CHU de l\'Exemple"\n', "")
        .replace('"dsi@', '"d si@')
        .replace("port = 25}\n", "port = -1}\n")
    )
    with pytest.raises(BadValue) as refused:
        loaded(tmp_path, text)
    names = [line.split(": ")[1] for line in str(refused.value).splitlines()]
    assert names == ["name", "postmaster", "relay.listen.port"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"name = ", "not TOML"), (b"\xff\xfe", "not TOML"), (b"", "name: is needed")],
)
def test_a_file_that_is_none_is_told_so(tmp_path: Path, content: bytes, told: str) -> None:
    """Not TOML, not text, empty."""
    path = tmp_path / "mss.toml"
    path.write_bytes(content)
    with pytest.raises(BadValue, match=told):
        load(path)


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    """And a folder is no file."""
    with pytest.raises(BadValue, match="name the file with --config"):
        load(tmp_path / "nowhere.toml")
    with pytest.raises(BadValue, match="name the file with --config"):
        load(tmp_path)


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the file, down to one value of a section; what else begins with MSS_ is nobody's setting."""
    monkeypatch.setenv("MSS_NAME", "Autre")
    monkeypatch.setenv("MSS_RELAY__LISTEN__PORT", "2525")
    monkeypatch.setenv("MSS_DATABASE_URL", "postgresql+asyncpg://mss@db.example/mss")
    monkeypatch.setenv("MSS_CONFIG", "/elsewhere")
    monkeypatch.setenv("MSS_PARENT_PID", "1")
    read = loaded(tmp_path)
    assert (read.name, read.url) == ("Autre", "postgresql+asyncpg://mss@db.example/mss")
    assert read.relay.listen == sections.Listen(host="0.0.0.0", port=2525)


@pytest.mark.parametrize(("name", "value"), [("MSS_DOMAINS", "not json"), ("MSS_RELAY__LISTEN__PORT", "x")])
def test_a_wrong_environment_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """One line, with the setting in it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(BadValue) as refused:
        loaded(tmp_path)
    (line,) = str(refused.value).splitlines()
    assert name.removeprefix("MSS_").split("__")[-1].lower() in line


def test_settings_cannot_be_changed_while_running(tmp_path: Path) -> None:
    """What was checked stays."""
    with pytest.raises(ValueError, match="frozen"):
        loaded(tmp_path).name = "x"


def test_two_operators_of_one_machine_have_their_own_sockets(tmp_path: Path) -> None:
    """Short enough for a socket, private to the user, told apart by the state."""
    first, second = loaded(tmp_path), loaded(tmp_path, GOOD.replace('"state"', '"other"'))
    assert config.run_directory(first) != config.run_directory(second)
    assert len(str(config.run_directory(first) / "desk-123.sock")) < 100
    own = loaded(tmp_path, GOOD.replace("[relay]", 'run_dir = "run"\n[relay]', 1))
    assert config.run_directory(own) == tmp_path / "run"
