"""The certificate authority's files: made whole, for a server that devices can verify."""

import pytest
from cryptography import x509

from hemaline_cloud.enrolment import authority
from hemaline_cloud.enrolment.authority import make_authority
from hemaline_shared.errors import PermanentError


def names_of(folder):
    server = x509.load_pem_x509_certificate((folder / "est.crt").read_bytes())
    found = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


@pytest.mark.parametrize("host", ["hemaline.example", "est", "192.0.2.7", "2001:db8::7"])
def test_a_server_is_known_by_its_name_or_its_address(tmp_path, host):
    make_authority(tmp_path, host)
    assert names_of(tmp_path) == [host]
    server = x509.load_pem_x509_certificate((tmp_path / "est.crt").read_bytes())
    (name,) = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert isinstance(name, x509.DNSName if host.endswith(("example", "est")) else x509.IPAddress)


@pytest.mark.parametrize("host", ["", "a b", "-a", "é.example", "a..b", "x" * 70, "https://a"])
def test_a_host_that_no_device_could_verify_is_told_and_nothing_is_made(tmp_path, host):
    with pytest.raises(PermanentError) as refused:
        make_authority(tmp_path / "ca", host)
    assert refused.value.reason == "bad-host"
    assert not (tmp_path / "ca").exists()


def test_a_making_that_was_cut_off_is_not_taken_for_an_authority(tmp_path, monkeypatch):
    written = authority._write

    def cut_off(file, *content):
        if file.name == "est.crt":
            raise OSError("no room")
        written(file, *content)

    monkeypatch.setattr(authority, "_write", cut_off)
    with pytest.raises(OSError, match="no room"):
        make_authority(tmp_path, "localhost")
    assert not (tmp_path / "root.crt").exists()
