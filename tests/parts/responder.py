"""What the cloud would answer, in a few lines: receipts and upload grants, or none of them."""

import http.server
import queue
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from uuid import UUID

from hemaline_shared.broker import BrokerSettings
from hemaline_shared.messages import (
    Attachment,
    Receipt,
    Receipts,
    Status,
    Telemetry,
    UploadGrant,
    UploadRequest,
    UpMessage,
    decode,
    decode_up,
    encode,
)
from hemaline_shared.mqtt import Inbound, Listener, MqttLink
from hemaline_shared.packing import sha256_hex
from hemaline_shared.topics import Channel, DeviceName, every_device, parse_topic
from parts.waiting import LONG_S


class Responder:
    """Takes every message, checks its images, and answers as `answer` says.

    `answer` gets a message and how often it has come, and returns the receipts to send.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        answer: Callable[[UpMessage, int], list[Receipt]],
        name: str = "responder",
    ) -> None:
        self.answer = answer
        self.grant: Callable[[UploadRequest], UploadGrant] = lambda request: UploadGrant(
            message_id=request.message_id, refusal="no uploads in this test"
        )
        self.arrivals: Counter[UUID] = Counter()
        self.messages: list[UpMessage] = []
        self.upload_requests: list[UploadRequest] = []
        self.statuses: list[Status] = []
        self.telemetry: list[Telemetry] = []
        self._inbox: queue.SimpleQueue[Inbound | None] = queue.SimpleQueue()
        channels = (Channel.FIELD, Channel.UPLOAD_REQUEST, Channel.STATUS, Channel.TELEMETRY)
        self._link = MqttLink(
            broker,
            name,
            Listener(on_message=self._inbox.put),
            subscriptions=tuple(every_device(channel) for channel in channels),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "Responder":
        self._link.start()
        assert self._link.wait_connected(LONG_S)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._inbox.put(None)
        self._thread.join(LONG_S)
        self._link.stop()

    def __enter__(self) -> "Responder":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        while inbound := self._inbox.get():
            name, channel = parse_topic(inbound.topic)
            if channel is Channel.FIELD:
                message = decode_up(inbound.payload)
                self.arrivals[message.message_id] += 1
                self.messages.append(message)
                receipts = self.answer(message, self.arrivals[message.message_id])
                if receipts:
                    self.send_receipts(name.site, name.device, receipts)
            elif channel is Channel.UPLOAD_REQUEST:
                request = decode(UploadRequest, inbound.payload)
                self.upload_requests.append(request)
                self._send(name.topic(Channel.UPLOAD_GRANT), encode(self.grant(request)))
            elif channel is Channel.STATUS:
                self.statuses.append(decode(Status, inbound.payload))
            else:
                self.telemetry.append(decode(Telemetry, inbound.payload))
            self._link.acknowledge(inbound)

    def send_receipts(self, site: str, device: str, receipts: list[Receipt]) -> None:
        topic = DeviceName(site, device).topic(Channel.RECEIPT)
        self._send(topic, encode(Receipts(receipts=tuple(receipts))))

    def _send(self, topic: str, payload: bytes) -> None:
        if self._link.connected:
            self._link.publish(topic, payload)


def stored(message: UpMessage, _times: int) -> list[Receipt]:
    """The answer of a cloud that is well."""
    sha256 = message.images.sha256 if message.kind == "field" else None
    return [Receipt(message_id=message.message_id, outcome="stored", sha256=sha256)]


def silent(_message: UpMessage, _times: int) -> list[Receipt]:
    """The answer of a cloud that is away."""
    return []


def is_whole(attachment: Attachment) -> bool:
    """Whether inline images are what the message says."""
    data = attachment.inline
    return (
        data is not None
        and len(data) == attachment.size
        and sha256_hex(data) == (attachment.sha256)
    )


class ObjectStore:
    """Takes PUTs on a free port; answers with `statuses` in turn, then with 200."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.statuses: list[int] = []
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                status = store.statuses.pop(0) if store.statuses else 200
                if status == 200:
                    store.objects[self.path.split("?")[0]] = data
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "ObjectStore":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def eventually(holds: Callable[[], bool], timeout_s: float = LONG_S) -> bool:
    """Wait until something holds; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()
