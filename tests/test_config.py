"""Real folders in, checked settings or every mistake with file and line out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import config, errors, transport
from gateway.config import rules
from gateway.config.maps import check_maps

MEMBER = """\
id: {id}
name: 卫生院
facilities: [{facility}]
channels:
  - {{id: {id}-in, transport: mllp, format: hl7v2}}
subscriptions:
  - id: {id}-out
    criteria: ["DiagnosticReport?status=final"]
    transport: mllp
    address: 127.0.0.1:2600
    format: hl7v2
    message: ORU_R01
"""


def write(folder: Path, community: str = "id: c\nname: 县\n", **members: str) -> Path:
    path = folder / "community.yaml"
    path.write_text(community, "utf-8")
    (folder / "members").mkdir(exist_ok=True)
    for name, text in members.items():
        (folder / "members" / name).mkdir()
        (folder / "members" / name / "member.yaml").write_text(text, "utf-8")
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(errors.Configuration) as caught:
        config.load(path)
    return str(caught.value).splitlines()


def member_mistakes(tmp_path: Path, text: str) -> list[str]:
    """The mistakes of one member, as 'line: cause; remedy'."""
    found = mistakes(write(tmp_path, a=text))
    head = f"{tmp_path / 'members' / 'a' / 'member.yaml'}:"
    assert all(line.startswith(head) for line in found), found
    return [line.removeprefix(head) for line in found]


def test_what_init_writes_is_without_mistakes(tmp_path: Path) -> None:
    made = config.template(tmp_path / "c")
    community = config.load(made[0])
    assert community.open
    (member,) = community.members.values()
    assert member.profile.charset == "GB18030"
    assert member.profile.version == "2.4"
    assert member.subscriptions[0].only == "placed-here"
    assert community.map_folders == (str(tmp_path / "c" / "maps"),)


def test_what_init_writes_in_comments_is_without_mistakes_too(tmp_path: Path) -> None:
    config.template(tmp_path)
    path = tmp_path / "members" / "example-township" / "member.yaml"
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(re.sub(r"^(\s*)# (?=( *)(- )?[a-zA-Z_]+: ?)", r"\1", line) for line in lines), "utf-8")
    member = config.load(tmp_path).members["example-township"]
    ids = ["example-hl7", "example-web", "example-files", "example-sftp", "example-views"]
    assert [channel.id for channel in member.channels] == ids
    assert member.profile.codes["sex"] == {"1": "M", "2": "F"}
    ids = [subscription.id for subscription in member.subscriptions]
    assert ids == ["example-results", "example-fhir", "example-tables", "example-middle-table"]


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    config.template(tmp_path)
    with pytest.raises(errors.Configuration, match="exists already"):
        config.template(tmp_path)


def test_the_starter_is_open() -> None:
    community = config.starter()
    assert community.open
    assert not community.members


def test_members_of_folders_and_their_zone(tmp_path: Path) -> None:
    text = MEMBER.format(id="b", facility="B") + "profile: {time_zone: Asia/Urumqi}\n"
    path = write(tmp_path, "id: c\nname: n\ntime_zone: Asia/Tokyo\n", a=MEMBER.format(id="a", facility="A"), b=text)
    community = config.load(path)
    assert list(community.members) == ["a", "b"]
    assert community.members["a"].profile.time_zone == "Asia/Tokyo"
    assert community.members["b"].profile.time_zone == "Asia/Urumqi"


def test_members_inline(tmp_path: Path) -> None:
    path = write(tmp_path, "id: c\nname: n\nmembers:\n  - {id: a, name: 甲, facilities: [A]}\n")
    assert config.load(path).members["a"].name == "甲"


def test_a_code_stays_what_was_written(tmp_path: Path) -> None:
    text = "id: a\nname: NO\nfacilities: [0123]\nprofile: {codes: {sex: {01: M, on: F}}}\n"
    member = config.load(write(tmp_path, a=text)).members["a"]
    assert member.name == "NO"
    assert member.facilities == ("0123",)
    assert member.profile.codes["sex"] == {"01": "M", "on": "F"}


def test_own_map_folders_come_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, "id: c\nname: n\nmaps: [own]\n", a="id: a\nname: n\n")
    (tmp_path / "own").mkdir()
    (tmp_path / "members" / "a" / "x.map").touch()
    assert config.load(path).map_folders == (str(tmp_path / "own"), str(tmp_path / "members" / "a"))


def test_all_mistakes_of_all_members_at_once(tmp_path: Path) -> None:
    bad_yaml = "id: c\nname: [unclosed\n"
    path = write(
        tmp_path,
        "id: c\nnaem: x\nopen: maybe\ntime_zone: Asia/Shangai\nmaps: [nowhere]\n",
        a=MEMBER.format(id="a", facility="X"),
        b=MEMBER.format(id="b", facility="X").replace("transport: mllp, format", "transport: mlp, format"),
        c=bad_yaml,
        d="id: d\nname: 丁\nprofile: {charset: GB18O30}\n",
    )
    (tmp_path / "members" / "empty").mkdir()
    found = mistakes(path)
    home = tmp_path / "members"
    assert found == sorted(found, key=lambda line: line.split(":")[0])
    for expected in (
        f"{path}:1: 'name' is missing",
        f"{path}:2: unknown word 'naem'; did you mean 'name'?",
        f"{path}:3: 'open' must be true or false, not 'maybe'",
        f"{path}:4: unknown time zone 'Asia/Shangai'; did you mean 'Asia/Shanghai'?",
        f"{path}:5: there is no folder 'nowhere'",
        f"{home / 'b' / 'member.yaml'}:3: facility 'X' is used twice (first in {home / 'a' / 'member.yaml'}:3)",
        f"{home / 'b' / 'member.yaml'}:5: unknown transport 'mlp'; did you mean 'mllp'?",
        f"{home / 'c' / 'member.yaml'}:",
        f"{home / 'd' / 'member.yaml'}:3: unknown charset 'GB18O30'; did you mean 'GB18030'?",
        f"{home / 'empty'}: this member's folder has no member.yaml",
    ):
        assert any(line.startswith(expected) for line in found), (expected, found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: a\nname: n\nchannels:\n  - id: x\n    transport: mllp\n", "4: 'format' is missing"),
        ("id: a\nname: n\nchannels: {id: x}\n", "3: 'channels' must be a list"),
        ("id: a\nname: n\nchannels: [{id: x, transport: mllp, format: fhir}]\n", "3: MLLP carries HL7 v2, not fhir"),
        ("id: a\nname: n\nchannels: [{id: x, transport: files, format: json}]\n", "3: a channel of files needs"),
        (
            "id: a\nname: n\nchannels: [{id: x, transport: files, format: json, folder: ../out}]\n",
            "3: '../out' leaves the data directory",
        ),
        (
            "id: a\nname: n\nchannels:\n"
            "  - {id: x, transport: mllp, format: hl7v2, listen: '127.0.0.1:2600'}\n"
            "  - {id: x, transport: mllp, format: hl7v2, listen: '127.0.0.1:2600'}\n",
            "5: listen address '127.0.0.1:2600' is used twice",
        ),
        (
            "id: a\nname: n\nchannels:\n"
            "  - {id: x, transport: mllp, format: hl7v2}\n"
            "  - {id: x, transport: mllp, format: hl7v2}\n",
            "5: channel id 'x' is used twice",
        ),
        (
            "id: a\nname: n\nchannels: [{id: x, transport: mllp, format: hl7v2, listen: '2600'}]\n",
            "3: '2600' is not HOST",
        ),
        ("id: a\nname: n\nchannels: [{id: 'x/y', transport: http, format: hl7v2}]\n", "3: channel id 'x/y' must be"),
        ("id: a\nname: n\nprofile: {version: 2.9}\n", "3: unknown HL7 version '2.9'"),
        ("id: a\nname: n\nprofile: {authorities: {X: nothing}}\n", "3: 'nothing' is no identifier system"),
        ("id: a\nname: n\nprofile: {moves: [PID-2 to PID-3]}\n", "3: 'PID-2 to PID-3' is no move"),
        ("id: a\nname: n\nprofile: {moves: [PID-2 -> PV1-3]}\n", "3: 'PID-2 -> PV1-3' is no move"),
        ("id: b\nname: n\n", "1: member id 'b' differs from its folder 'a'"),
        ("id: a\nid: a\nname: n\n", "2: 'id' stands here twice (first in line 1)"),
        ("id: a\nname: &x n\nkind: *x\n", "3: aliases (*name) are not read"),
        ("- a\n- b\n", "1: holds no settings"),
        ("id: a\nname: n\nkind: " + "[" * 50 + "]" * 50 + "\n", "3: nested too deeply"),
        ("id: a\nname: n\nauthoritative: [yes]\n", "3: 'authoritative' must be true or false, not a list"),
        ("id: a\n--- \nid: b\n", "2: more than one YAML document"),
    ],
)
def test_a_mistake_of_one_member(tmp_path: Path, text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in member_mistakes(tmp_path, text))


SUBSCRIPTION = {
    "id": "s",
    "criteria": "['DiagnosticReport?status=final']",
    "transport": "mllp",
    "address": "127.0.0.1:2600",
    "format": "hl7v2",
    "message": "ORU_R01",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"criteria": "['DiagnosticRepot?status=final']"}, "did you mean 'DiagnosticReport'?"),
        ({"criteria": "['DiagnosticReport?statsu=final']"}, "did you mean 'status'?"),
        ({"criteria": "[]"}, "'criteria' is empty"),
        ({"only": "places-here"}, "did you mean 'placed-here'?"),
        ({"address": "127.0.0.1"}, "is not HOST:PORT"),
        ({"address": "127.0.0.1:99999"}, "the port must be a number from 1 to 65535"),
        ({"address": "''"}, "no address to send to"),
        ({"message": "''"}, "needs its structure"),
        ({"message": "oru"}, "is no message structure"),
        ({"event": "A8"}, "is no trigger event"),
        ({"timeout": "0"}, "'timeout' must be"),
        ({"timeout": "soon"}, "'timeout' must be a number, not 'soon'"),
        ({"attempts": "0"}, "'attempts' must be"),
        ({"attempts": "1.5"}, "'attempts' must be a number"),
        ({"transport": "http"}, "is no web address"),
        ({"transport": "http", "address": "'http://u:p@h/fhir'"}, "the address holds a password"),
        ({"headers": "{Authorization: Bearer abc}"}, "the secret of header 'Authorization' stands in the file"),
        ({"transport": "files", "address": "''"}, "no folder to write to"),
        (
            {"transport": "http", "address": "'http://h'", "format": "fhir", "message": "bundel"},
            "did you mean 'bundle'?",
        ),
        (
            {"transport": "http", "address": "'http://h'", "format": "delimited", "message": "''"},
            "needs the name of its",
        ),
        ({"profile": "{time_zone: Mars}"}, "unknown time zone 'Mars'"),
        (
            {"transport": "files", "address": "out/a", "format": "workbook", "message": "''"},
            "needs the name of its map",
        ),
        ({"profile": "{file: {separator: ';;'}}"}, "separates nothing"),
        ({"file_name": "LIS_{key}"}, "'file_name' means nothing for mllp"),
        ({"transport": "files", "address": "out/a", "file_name": "LIS.csv"}, "names no file of its own"),
        ({"transport": "files", "address": "out/a", "file_name": "'../{key}.csv'"}, "names no file of its own"),
        ({"profile": "{file: {quoting: some}}"}, "unknown quoting 'some'"),
        ({"profile": "{file: {times: 'HH:mm'}}"}, "is no form of times"),
        ({"profile": "{file: {dates: 'DD.MM.'}}"}, "is no form of dates"),
    ],
)
def test_a_mistake_of_one_subscription(tmp_path: Path, change: dict[str, str], expected: str) -> None:
    lines = [f"    {name}: {value}" for name, value in {**SUBSCRIPTION, **change}.items()]
    text = "id: a\nname: n\nsubscriptions:\n" + "\n".join(lines).replace("    id", "  - id", 1) + "\n"
    found = member_mistakes(tmp_path, text)
    assert any(expected in line for line in found), found


def test_criteria_have_the_line_of_their_own(tmp_path: Path) -> None:
    text = """\
id: a
name: n
subscriptions:
  - id: s
    criteria:
      - DiagnosticReport?status=final
      - Observation?cod=1
    address: https://h/fhir
"""
    assert member_mistakes(tmp_path, text) == ["7: Observation has no search parameter 'cod'; did you mean 'code'?"]


def test_a_drop_folder_is_nobodys_out_folder(tmp_path: Path) -> None:
    text = (
        "id: a\nname: n\nchannels: [{id: x, transport: files, format: json, folder: drop/a}]\n"
        "subscriptions: [{id: y, criteria: [Patient], transport: files, format: json, message: m, address: drop/a/}]\n"
    )
    assert any("folder 'drop/a' is used twice" in line for line in member_mistakes(tmp_path, text))


HOST_KEY = "SHA256:" + "A" * 43
SERVER = {"host": "10.1.2.3", "user": "hutong", "host_keys": f"['{HOST_KEY}']", "password": "env:OURS"}


def sftp_channel(folder: str = "/out", **server: str) -> str:
    inside = ", ".join(f"{name}: {value}" for name, value in {**SERVER, **server}.items() if value)
    channel = f"id: x, transport: sftp, format: json, folder: {folder}, server: {{{inside}}}"
    return f"id: a\nname: n\nchannels:\n  - {{{channel}}}\n"


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"port": "2222", "key": "file:/etc/hutong/id", "passphrase": "env:PHRASE", "password": ""},
        {"host_keys": "[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS]"},
    ],
)
def test_an_sftp_line(tmp_path: Path, server: dict[str, str]) -> None:
    (member,) = config.load(write(tmp_path, a=sftp_channel(**server))).members.values()
    assert member.channels[0].server is not None
    assert member.channels[0].of_files


@pytest.mark.parametrize(
    ("server", "cause"),
    [
        ({"host": "'a b'"}, "no host name"),
        ({"port": "0"}, "'port' must be"),
        ({"host_keys": "[]"}, "anybody could be this server"),
        ({"host_keys": "[ssh-ed25519 AAAA]"}, "no host key"),
        (
            {"host_keys": "[ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS]"},
            "no host key",
        ),
        ({"password": ""}, "nothing proves who we are"),
        ({"passphrase": "env:P"}, "there is none"),
        ({"password": "hunter2"}, "the secret of 'password' stands in the file; write `password: env:NAME`"),
        ({"key": "'-----BEGIN OPENSSH PRIVATE KEY-----'"}, "the secret of 'key' stands in the file"),
        ({"folder": "/a/../b"}, "must be a plain path"),
    ],
)
def test_mistakes_of_an_sftp_line(tmp_path: Path, server: dict[str, str], cause: str) -> None:
    (found,) = member_mistakes(tmp_path, sftp_channel(**server))
    assert found.startswith("4: ")
    assert cause in found
    assert "hunter2" not in found
    assert "BEGIN" not in found


def test_words_of_sftp_elsewhere_and_a_line_without_its_server(tmp_path: Path) -> None:
    channels = [
        "{id: w, transport: sftp, format: json}",
        "{id: x, transport: files, format: json, folder: f, leave: true}",
        f"{{id: y, transport: http, format: json, server: {{host: h, user: u, host_keys: ['{HOST_KEY}']}}}}",
    ]
    lines = "".join(f"  - {each}\n" for each in channels)
    found = member_mistakes(tmp_path, f"id: a\nname: n\nchannels:\n{lines}")
    assert [line.partition(";")[0] for line in found] == [
        "4: an SFTP line needs its server",
        "4: no folder on the server",
        "5: 'leave' means nothing for files",
        "6: 'server' means nothing for http",
    ]


def test_one_folder_of_a_server_is_one_channels(tmp_path: Path) -> None:
    text = sftp_channel()
    text += text.splitlines()[-1].replace("id: x", "id: y") + "\n"
    assert any("is used twice" in line for line in member_mistakes(tmp_path, text))


def test_a_subscription_by_sftp(tmp_path: Path) -> None:
    inside = ", ".join(f"{name}: {value}" for name, value in SERVER.items())
    head = "id: a\nname: n\nsubscriptions:\n"
    wish = "id: s, criteria: [Patient], transport: sftp, format: fhir"
    assert config.load(write(tmp_path, a=f"{head}  - {{{wish}, address: /in, server: {{{inside}}}}}\n"))
    (tmp_path / "b").mkdir()
    found = member_mistakes(tmp_path / "b", f"{head}  - {{{wish}}}\n")
    assert [line.partition(";")[0] for line in found] == [
        "4: an SFTP line needs its server", "4: no folder on the server"
    ]  # fmt: skip


def database_channel(**changes: str) -> str:
    said = {"url": "env:HIS", "views": "[{view: V, watermark: t}]"} | changes
    inside = ", ".join(f"{name}: {value}" for name, value in said.items())
    line = f"{{id: x, transport: database, format: rows, database: {{{inside}}}}}"
    return f"id: a\nname: n\nchannels:\n  - {line}\n"


@pytest.mark.parametrize("url", ["env:HIS", "file:/run/secrets/his", "postgresql://his@10.1.2.3/his", "sqlite:///x.db"])
def test_a_database_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    (channel,) = config.load(write(tmp_path, a=database_channel(url=url))).members["a"].channels
    assert channel.database is not None
    assert (channel.database.views[0].overlap, channel.database.every) == (900, 60.0)


@pytest.mark.parametrize(("changes", "cause"), [
    ({"url": "postgresql://his:hunter2@10.1.2.3/his"}, "the password stands in the file"),
    ({"url": "'oracle://10.1.2.3/his?user=x&password=hunter2'"}, "the password stands in the file"),
    ({"url": "10.1.2.3"}, "no address of a database"),
    ({"url": "mongodb://10.1.2.3/his"}, "no address of a database"),
    ({"every": "0"}, "'every' must be from 1"),
    ({"stored": "GBX"}, "unknown charset"),
    ({"views": "[]"}, "no view is named"),
    ({"views": "[{view: V, watermark: t}, {view: v, watermark: t}]"}, "is named twice"),
    ({"views": "[{view: V}]"}, "'watermark' is missing"),
    ({"views": "[{view: V, watermark: t, overlap: -1}]"}, "'overlap' must be"),
    ({"views": "[{view: V, watermark: T, without: [t]}]"}, "the watermark is read"),
])  # fmt: skip
def test_mistakes_of_a_database(tmp_path: Path, changes: dict[str, str], cause: str) -> None:
    (found,) = member_mistakes(tmp_path, database_channel(**changes))
    assert found.startswith("4: ")
    assert cause in found
    assert "hunter2" not in found


def test_words_of_a_database_elsewhere_and_a_channel_without_it(tmp_path: Path) -> None:
    channels = [
        "{id: w, transport: database, format: rows}",
        "{id: x, transport: database, format: json, database: {url: env:X, views: [{view: V, watermark: t}]}}",
        "{id: y, transport: http, format: json, database: {url: env:X, views: [{view: V, watermark: t}]}}",
        "{id: z, transport: http, format: rows}",
    ]
    found = member_mistakes(tmp_path, "id: a\nname: n\nchannels:\n" + "".join(f"  - {each}\n" for each in channels))
    assert [line.partition(";")[0] for line in found] == [
        "4: a channel of a database needs its address and views",
        "5: a database gives rows, not json",
        "6: 'database' means nothing for http",
        "7: rows come from a database",
    ]


def table_subscription(**changes: str) -> str:
    said = {"format": "rows", "address": "env:MIDDLE", "table": "{name: JYJG, delivery: jhlsh}"} | changes
    inside = ", ".join(f"{name}: {value}" for name, value in said.items() if value)
    wish = "id: s, criteria: [DiagnosticReport], transport: database, message: laboratory-results"
    return f"id: a\nname: n\nsubscriptions:\n  - {{{wish}, {inside}}}\n"


def test_a_middle_table(tmp_path: Path) -> None:
    (wish,) = config.load(write(tmp_path, a=table_subscription())).members["a"].subscriptions
    assert wish.table is not None
    assert (wish.table.name, wish.table.delivery, wish.table.marks) == ("JYJG", "jhlsh", ("1", "0"))


@pytest.mark.parametrize(("changes", "cause"), [
    ({"format": "json"}, "a table takes rows, not json"),
    ({"address": ""}, "no database to write to"),
    ({"address": "mysql://root:hunter2@h/d"}, "the password stands in the file"),
    ({"table": ""}, "a database needs the table"),
    ({"table": "{name: T}"}, "nothing tells whether a row is there already"),
    ({"table": "{name: T, delivery: d, marks: ['1']}"}, "'marks' must be two"),
    ({"table": "{name: T, delivery: d, number: D}"}, "the column 'd' is written twice"),
    ({"table": "{name: T, key: [bgdh], columns: {结果: jg}}"}, "the key column 'bgdh' is not written"),
])  # fmt: skip
def test_mistakes_of_a_middle_table(tmp_path: Path, changes: dict[str, str], cause: str) -> None:
    (found,) = member_mistakes(tmp_path, table_subscription(**changes))
    assert found.startswith("4: ")
    assert cause in found
    assert "hunter2" not in found


def test_a_file_that_is_not_utf8_or_too_big(tmp_path: Path) -> None:
    path = write(tmp_path, a="id: a\nname: n\n")
    path.write_bytes("id: c\nname: 县\n".encode("gbk"))
    assert mistakes(path)[0].startswith(f"{path}:2: not UTF-8")
    path.write_bytes(b"id: c\nname: n\n#" + b"x" * 2**20)
    assert mistakes(path)[0].startswith(f"{path}: larger than 1 MiB")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in mistakes(tmp_path / "no.yaml")[0]


def test_transports_are_those_of_the_registry() -> None:
    assert set(transport.senders) - {"memory"} == rules.TRANSPORTS
    assert set(transport.listeners) - {"memory"} | {"http", "database"} == rules.TRANSPORTS  # databases are polled


def test_maps_are_compiled_and_their_names_checked(tmp_path: Path) -> None:
    text = """\
id: a
name: n
profile: {maps: [nowhere]}
subscriptions:
  - {id: s, criteria: [Patient], address: "127.0.0.1:1", transport: mllp, format: hl7v2, message: ORU_R99}
"""
    path = write(tmp_path, a=text)
    survey = config.survey(path)
    assert not survey.mistakes.found
    check_maps(survey)
    found = [str(mistake) for mistake in survey.mistakes.found]
    member = tmp_path / "members" / "a" / "member.yaml"
    assert found[0].startswith(f"{member}:3: there is no export map 'nowhere'")
    assert found[1].startswith(f"{member}:5: there is no message structure 'ORU_R99'")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "own.map").write_text("PID => Nonsense\n", "utf-8")
    survey = config.survey(path)
    check_maps(survey)
    assert any(mistake.file.endswith("own.map") and mistake.line for mistake in survey.mistakes.found)
