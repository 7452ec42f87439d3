"""Images that are too large to go inline: asked for, uploaded, claimed, stored, and gone."""

import cbor2
import pytest

from hemaline_cloud.objects.store import open_store
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.ids import new_id
from hemaline_shared.messages import UploadRequest, encode
from hemaline_shared.packing import pack
from hemaline_shared.topics import Channel, DeviceName
from parts.captures import SCOPE, Slide, images
from parts.sender import Sender
from parts.waiting import wait_until


def request_for(field):
    size, sha256 = field.images.size, field.images.sha256
    return UploadRequest(message_id=field.message_id, size=size, sha256=sha256)


def claiming(field, key):
    """The field's payload, its images claimed by a key."""
    content = cbor2.loads(encode(field))
    content["images"] = content["images"] | {"inline": None, "object_key": key}
    return cbor2.dumps(content)


@pytest.fixture(params=["directory", "s3"])
def sender(request, broker, settings, start):
    if request.param == "s3":
        settings = settings.model_copy(update={"objects": request.getfixturevalue("s3_objects")})
    start(settings)
    with Sender(broker.settings, SCOPE) as sender:
        sender.store = open_store(settings.objects)
        yield sender


def upload(sender, field):
    """What the API does with the granted address (the store's contract covers that)."""
    sender.publish(Channel.UPLOAD_REQUEST, encode(request_for(field)))
    grant = sender.grant()
    assert grant.message_id == field.message_id
    assert grant.object_key in grant.url
    sender.store.put(grant.object_key, field.images.inline)
    return grant.object_key


def test_an_upload_is_claimed_stored_for_good_and_removed(sender, ledger):
    field = Slide().field()
    key = upload(sender, field)
    assert key == f"uploads/{SCOPE}/{field.message_id}"
    sender.send_payload(claiming(field, key), field.message_id)
    assert sender.receipt(field.message_id).outcome == "stored"
    ((stored,),) = ledger.rows("select object_key from fields")
    assert sender.store.get(stored) == pack(images(2))
    wait_until(lambda: not sender.store.exists(key))


def test_a_claim_that_comes_again_needs_no_upload(sender, ledger):
    field = Slide().field()
    key = upload(sender, field)
    for nth in (1, 2, 3):
        sender.send_payload(claiming(field, key), field.message_id)
        assert sender.receipt(field.message_id, nth).outcome == "stored"
    assert ledger.reasons() == []


def test_an_upload_of_another_content_is_kept_with_its_dead_letter(sender, ledger):
    field = Slide().field()
    key = upload(sender, field)
    wrong = field.images.inline[:-1] + b"!"
    sender.store.put(key, wrong)
    sender.send_payload(claiming(field, key), field.message_id)
    assert sender.receipt(field.message_id).reason == "wrong-hash"
    ((letter,),) = ledger.rows("select object_key from dead_letters")
    assert sender.store.get(f"{letter}.upload") == wrong
    wait_until(lambda: not sender.store.exists(key))


def test_an_upload_that_is_larger_than_announced_is_not_read(sender):
    field = Slide().field()
    key = upload(sender, field)
    sender.store.put(key, field.images.inline + b"!")
    sender.send_payload(claiming(field, key), field.message_id)
    assert sender.receipt(field.message_id).reason == "wrong-size"


@pytest.mark.parametrize("sender", ["directory"], indirect=True)
def test_only_an_upload_of_the_frame_itself_can_be_claimed(sender, broker):
    mine, other = Slide().field(), Slide().field()
    key = upload(sender, mine)
    sender.send_payload(claiming(other, key), other.message_id)
    assert sender.receipt(other.message_id).reason == "foreign-upload"
    thief = DeviceName("lab", "thief")
    with Sender(broker.settings, thief) as another:
        stolen = Slide(thief).field()
        another.send_payload(claiming(stolen, key), stolen.message_id)
        assert another.receipt(stolen.message_id).reason == "foreign-upload"
    assert sender.store.exists(key)


@pytest.mark.parametrize("sender", ["directory"], indirect=True)
def test_a_size_over_the_bound_is_neither_granted_nor_claimed(sender):
    huge = 1024**3
    request = UploadRequest(message_id=new_id(), size=huge, sha256="0" * 64)
    sender.publish(Channel.UPLOAD_REQUEST, encode(request))
    grant = sender.grant()
    assert grant.url is None
    assert "can be uploaded" in grant.refusal
    field = Slide().field()
    swollen = field.model_copy(update={"images": field.images.model_copy(update={"size": huge})})
    sender.send_payload(claiming(swollen, f"uploads/{SCOPE}/{field.message_id}"), field.message_id)
    assert sender.receipt(field.message_id).reason == "wrong-size"


def test_without_an_upload_address_the_refusal_says_what_to_set(broker, settings, start, objects):
    start(settings.model_copy(update={"objects": DirectoryObjects(path=objects.path)}))
    with Sender(broker.settings, SCOPE) as sender:
        sender.publish(Channel.UPLOAD_REQUEST, encode(request_for(Slide().field())))
        assert "HEMALINE_OBJECTS__UPLOAD_URL" in sender.grant().refusal
