"""The agent's certificate in fast motion: it lasts seconds, and its authority goes away."""

from datetime import UTC, datetime

import pytest
from cryptography import x509

from hemaline_cloud.enrolment import verbs
from hemaline_edge.renewing import Renewing
from hemaline_shared.topics import DeviceName
from parts.waiting import wait_until


@pytest.fixture
def renewing(est):
    est.restart(certificate_s=4)
    est.device().enrol(est.token())
    renewing = Renewing(est.edge_settings())
    renewing.start()
    yield renewing
    renewing.stop()


def certificate_of(est):
    return x509.load_pem_x509_certificate((est.folder / "pc" / "device.crt").read_bytes())


def changes_from(est, serial):
    wait_until(lambda: certificate_of(est).serial_number != serial)
    return certificate_of(est).serial_number


def test_a_certificate_is_renewed_again_and_again(est, renewing):
    serials = [certificate_of(est).serial_number]
    for _ in range(3):
        serials.append(changes_from(est, serials[-1]))
    assert len(set(serials)) == 4
    wait_until(lambda: renewing.problem() is None)


def test_an_authority_that_was_away_until_the_end_is_asked_again(est, renewing):
    est.stop()
    wait_until(lambda: renewing.problem() is not None)
    assert "does not answer" in renewing.problem()
    before = certificate_of(est)
    wait_until(lambda: datetime.now(UTC) > before.not_valid_after_utc)
    assert certificate_of(est) == before
    est.start()
    changes_from(est, before.serial_number)
    wait_until(lambda: renewing.problem() is None)


def test_a_revoked_device_is_told_why_it_is_not_renewed(est, renewing):

    verbs.revoke_device(est.settings, DeviceName("lab", "scope-1"), "a test", [].append)
    wait_until(lambda: renewing.problem() is not None)
    assert "was revoked" in renewing.problem()
