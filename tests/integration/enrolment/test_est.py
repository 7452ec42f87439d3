"""Devices get certificates by EST from a real server, and are refused what is not theirs."""

import base64
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from typer.testing import CliRunner

from conftest import missing
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.reading.devices import list_devices
from hemaline_cloud.enrolment import verbs
from hemaline_cloud.enrolment.authority import make_authority
from hemaline_edge.cli import app as edge_commands
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.topics import DeviceName
from parts.people import TESTS
from parts.waiting import wait_until

SCOPE = DeviceName("lab", "scope-1")
OTHER = DeviceName("lab", "scope-2")


def certificate_of(est, place="pc"):
    return x509.load_pem_x509_certificates((est.folder / place / "device.crt").read_bytes())


def test_a_token_gives_a_device_the_certificate_of_its_name_for_thirty_days(est):
    until = est.device().enrol(est.token())
    assert timedelta(days=29) < until - datetime.now(UTC) <= timedelta(days=30)
    own, issuing = certificate_of(est)
    assert own.subject.rfc4514_string() == "CN=lab/scope-1"
    own.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(x509.load_pem_x509_certificate(est.root.read_bytes()))
    for file in ("device.key", "device.crt"):
        assert stat.S_IMODE((est.folder / "pc" / file).stat().st_mode) == 0o600


def test_who_enrolled_is_listed_before_it_calls(est, database_url):
    est.device().enrol(est.token())
    engine = make_engine(database_url, principal=TESTS, pool_size=1)
    with unit_of_work(engine) as connection:
        assert [row.connection for row in list_devices(connection, limit=5)] == ["never-seen"]
    engine.dispose()


def test_the_command_enrols_with_the_token_from_a_file(est, monkeypatch):
    settings = est.edge_settings()
    values = {
        "SITE": "lab",
        "DEVICE": "scope-1",
        "SOURCE__KIND": "simulator",
        "SPOOL__PATH": settings.spool.path,
        "BROKER__CA": est.root,
        "BROKER__CERTIFICATE": settings.broker.certificate,
        "BROKER__KEY": settings.broker.key,
        "ENROLMENT__SERVER": est.url,
        "ENROLMENT__CA": est.root,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"HEMALINE_{name}", str(value))
    file = est.folder / "token"
    file.write_text(est.token() + "\n")
    ran = CliRunner().invoke(edge_commands, ["enrol", "--token-file", str(file)])
    assert ran.exit_code == 0, ran.output
    assert "lab/scope-1 has a certificate until" in ran.output
    again = CliRunner().invoke(edge_commands, ["enrol", "--token-file", str(file)])
    assert again.exit_code == 2


def test_used_and_expired_tokens_and_another_name_are_refused_in_words_and_audited(est, audited):
    token = est.token()
    est.device().enrol(token)
    with pytest.raises(PermanentError, match="the token of lab/scope-1 was used already"):
        est.device(place="second").enrol(token)
    with pytest.raises(PermanentError, match="the token of lab/scope-1 has expired"):
        est.device(place="third").enrol(est.token(lasts=timedelta(seconds=-1)))
    with pytest.raises(PermanentError, match="no certificate in the name of lab/scope-2"):
        est.device(OTHER, "fourth").enrol(est.token(SCOPE))
    with pytest.raises(PermanentError, match="there is no such token"):
        est.device(place="fifth").enrol("guessed")
    assert audited() == [
        ("lab", "refuse", "used-token"),
        ("lab", "refuse", "expired-token"),
        ("lab", "refuse", "another-name"),
    ]


def test_a_token_is_stored_as_a_hash_alone(est, database_url):
    token = est.token()
    engine = make_engine(database_url, principal=TESTS, pool_size=1)
    with unit_of_work(engine) as connection:
        rows = connection.exec_driver_sql("select t::text from enrolment_tokens t").scalars()
        assert token not in " ".join(rows)
    engine.dispose()


def test_a_refused_device_enrols_with_the_next_token(est):
    with pytest.raises(PermanentError, match="no such token"):
        est.device().enrol("guessed")
    est.device().enrol(est.token())
    with pytest.raises(PermanentError, match="is there already"):
        est.device().enrol(est.token())


def test_a_certificate_renews_itself_and_keeps_its_key(est):
    device = est.device()
    device.enrol(est.token())
    (before, _), key = certificate_of(est), (est.folder / "pc" / "device.key").read_bytes()
    assert not device.is_due()
    device.renew()
    after = certificate_of(est)[0]
    assert after.serial_number != before.serial_number
    assert after.public_key() == before.public_key()
    assert (est.folder / "pc" / "device.key").read_bytes() == key


def test_an_expired_certificate_renews_itself_within_the_grace_and_not_beyond(est, audited):
    est.restart(certificate_s=1)
    device = est.device()
    until = device.enrol(est.token())
    wait_until(lambda: datetime.now(UTC) > until + timedelta(seconds=1))
    est.restart(renewal_grace_s=0)
    with pytest.raises(PermanentError, match="enrol lab/scope-1 anew"):
        device.renew()
    assert audited() == [("lab", "refuse", "expired")]
    est.restart(renewal_grace_s=3600)
    device.renew()


def test_a_revoked_certificate_renews_nothing_and_its_device_enrols_anew(est, audited):
    device = est.device()
    device.enrol(est.token())
    waiting = est.token()
    verbs.revoke_device(est.settings, SCOPE, "the PC was stolen", [].append)
    with pytest.raises(PermanentError, match="the certificate of lab/scope-1 was revoked"):
        device.renew()
    with pytest.raises(PermanentError, match="was used already"):
        est.device(place="thief").enrol(waiting)
    assert audited() == [
        ("lab", "revoke", "the PC was stolen"),
        ("lab", "refuse", "revoked"),
        ("lab", "refuse", "used-token"),
    ]
    est.device(place="new-pc").enrol(est.token())
    with pytest.raises(PermanentError, match="no certificate to revoke"):
        verbs.revoke_device(est.settings, OTHER, "a mistake", [].append)


def test_a_certificate_renews_in_no_other_name(est, audited):
    est.device().enrol(est.token())
    with pytest.raises(PermanentError, match="no certificate in the name of lab/scope-2"):
        est.device(OTHER).renew()
    assert audited() == [("lab", "refuse", "another-name")]


def test_an_authority_that_is_away_is_trouble_that_passes(est):
    device = est.device()
    token = est.token()
    est.stop()
    with pytest.raises(TransientError, match="does not answer"):
        device.enrol(token)
    est.start()
    device.enrol(token)


def test_an_authority_is_never_written_over(tmp_path):
    make_authority(tmp_path / "ca", "localhost")
    for key in ("root.key", "issuing.key", "est.key"):
        assert stat.S_IMODE((tmp_path / "ca" / key).stat().st_mode) == 0o600
    with pytest.raises(PermanentError, match="holds an authority already"):
        make_authority(tmp_path / "ca", "localhost")


def run(command, folder, input_=None):
    done = subprocess.run(command, cwd=folder, input=input_, check=True, capture_output=True)
    return done.stdout


def test_openssl_and_curl_enrol_and_renew_as_well(est):
    if not (shutil.which("openssl") and shutil.which("curl")):
        missing("openssl or curl is not installed")
    folder = est.folder
    curl = ["curl", "-sS", "--cacert", str(est.root)]
    post = ["-H", "Content-Type: application/pkcs10", "--data-binary", "@request.b64"]
    address = f"{est.url}/.well-known/est"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", "/CN=lab\\/scope-1", "-keyout", "k.pem", "-outform", "DER"]
    der = run(["openssl", "req", "-new", *new_key, *subject], folder)
    (folder / "request.b64").write_bytes(base64.encodebytes(der))
    to_pem = ["openssl", "pkcs7", "-inform", "DER", "-print_certs"]

    def issued(*how):
        answer = run([*curl, *how], folder)
        return run(to_pem, folder, base64.b64decode(answer, validate=False))

    user = ["-u", f"lab/scope-1:{est.token()}"]
    authorities = issued(f"{address}/cacerts")
    first = issued("--fail", *user, *post, f"{address}/simpleenroll")
    (folder / "chain.pem").write_bytes(first + authorities)
    shown = ["--cert", "chain.pem", "--key", "k.pem"]
    second = issued("--fail", *shown, *post, f"{address}/simplereenroll")
    assert first != second
    refused = run([*curl, *user, *post, "-w", "%{http_code}", f"{address}/simpleenroll"], folder)
    assert refused == b"the token of lab/scope-1 was used already\n403"
    nameless = run([*curl, *post, "-w", "%{http_code}", f"{address}/simpleenroll"], folder)
    assert nameless.endswith(b"401")
