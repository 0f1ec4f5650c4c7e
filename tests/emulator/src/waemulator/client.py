"""A client of the control API for tests and scripts; the standard library alone, and no proxy of the environment is used."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

POLL_SECONDS = 0.05
Record = dict[str, Any]


class ControlApiError(Exception):
    """The emulator refused a call.

    Attributes:
        status: the HTTP status.
        code, message: what the emulator says.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class ControlClient:
    """Calls the control API at a base URL such as `http://127.0.0.1:3900`.

    Every call raises `ControlApiError` when the emulator refuses it, and `OSError` when it cannot be reached.
    """

    def __init__(self, base_url: str, *, timeout: float = 30) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
        """Any call; a body is sent as JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                content = json.load(error)
            raise ControlApiError(error.code, content["code"], content["message"]) from None

    def user(self, number: str, name: str | None = None, *, business: str | None = None) -> Record:
        """Makes an account (or gives it a new name) and returns its `number, name, jid, lid, created`."""
        body = {"number": number, "name": name, "business": business}
        return self._post("/user", {key: value for key, value in body.items() if value is not None})

    def scan(self, number: str, qr: str) -> str:
        """The account's phone scans a QR code; returns the new device's JID."""
        return str(self._post("/scan", {"number": number, "qr": qr})["jid"])

    def enter_code(self, number: str, code: str) -> str:
        """The user types a pairing code into the phone; returns the new device's JID."""
        return str(self._post("/enter_code", {"number": number, "code": code})["jid"])

    def incoming(self, sender: str, to: str, text: str, *, lid: bool = True, id_: str | None = None, group: str | None = None) -> str:
        """A contact writes to the account, or to a group of both; addressed by LID or by number; returns the message id."""
        return self._incoming("/incoming", {"from": sender, "to": to, "text": text, "lid": lid, "id": id_, "group": group})

    def written_on_phone(self, number: str, to: str, text: str, *, lid: bool = True) -> str:
        """The account's user writes to a contact on the phone, of which the account's own linked devices hear; returns the message id."""
        return self._incoming("/incoming", {"from": number, "to": to, "text": text, "lid": lid, "echo": True})

    def incoming_message(
        self, sender: str, to: str, message: Record, *, lid: bool = True, id_: str | None = None, group: str | None = None
    ) -> str:
        """A contact sends any message, in protobuf's JSON form (`{"imageMessage": {"caption": "a cat"}}`); returns the message id."""
        return self._incoming("/incoming_message", {"from": sender, "to": to, "message": message, "lid": lid, "id": id_, "group": group})

    def incoming_media(
        self, sender: str, to: str, data: bytes, *, kind: str = "image", mimetype: str = "image/png", caption: str = "", filename: str = ""
    ) -> str:
        """A contact sends media to the account; returns the message id."""
        body = {"from": sender, "to": to, "kind": kind, "mimetype": mimetype, "caption": caption, "filename": filename}
        return self._incoming("/incoming_media", body | {"data": base64.b64encode(data).decode()})

    def _incoming(self, path: str, body: Mapping[str, object]) -> str:
        return str(self._post(path, {key: value for key, value in body.items() if value is not None})["id"])

    def receipt(self, sender: str, to: str, *ids: str, kind: str = "read", lid: bool = True, group: str | None = None) -> None:
        """A contact has (`delivered`), has `read` or has `played` messages that the account sent, to it or to a group."""
        body = {"from": sender, "to": to, "ids": list(ids), "type": kind, "lid": lid}
        self._post("/receipt", body | ({"group": group} if group else {}))

    def group(self, subject: str, *members: str, id_: str | None = None, lid: bool = True) -> str:
        """Makes a group and returns its JID; with the `id_` of one that is there, gives that one this subject and these members."""
        return str(self._post("/group", {"subject": subject, "members": list(members), "lid": lid, **({"id": id_} if id_ else {})})["id"])

    def history(self, number: str, *chats: Record) -> Record:
        """Gives the account a past, which devices linked from now on get; returns how many `chats` and `messages` it has.

        A chat is `{with: NUMBER | group: JID, name?, unread?, pinned?, archived?, lid?, messages: [...]}`, a message
        `{text | message, timestamp, id?, from_me?, sender?}`.
        """
        return self._post("/history", {"number": number, "chats": list(chats)})

    def fault(self, kind: str, number: str | None = None, **details: object) -> Record:
        """Lets something go wrong, for one account or for all; returns how many connections it hits."""
        return self._post("/fault", {"kind": kind, **({"number": number} if number is not None else {}), **details})

    def log(self, since: int = 0, *, kind: str | None = None, number: str | None = None) -> list[Record]:
        """The records from number `since` on, narrowed when asked."""
        query = {key: value for key, value in (("since", str(since)), ("kind", kind), ("number", number)) if value is not None}
        return list(self.call("GET", f"/log?{urlencode(query)}")["records"])

    def mark(self) -> int:
        """The number of the next record: pass it to `log` or `wait_for` to see only what comes from now on."""
        return int(self.call("GET", f"/log?since={2**62}")["next"])

    def wait_for(self, predicate: Callable[[Record], object], deadline: float = 20, *, since: int = 0) -> Record:
        """The first record that the predicate holds for.

        Args:
            predicate: tells whether it is the one.
            deadline: how many seconds to wait for it.
            since: the first record to look at.

        Raises:
            TimeoutError: it did not come; the message has the last records.
        """
        end = time.monotonic() + deadline
        while True:
            records = self.log(since)
            for record in records:
                if predicate(record):
                    return record
            if time.monotonic() > end:
                raise TimeoutError(f"no such record within {deadline} s; the last ones: {records[-5:]}")
            time.sleep(POLL_SECONDS)

    def devices(self, number: str) -> list[Record]:
        """The account's devices: `id, jid, connected, removed, logins, waiting`."""
        return list(self.call("GET", f"/devices?{urlencode({'number': number})}")["devices"])

    def healthy(self) -> bool:
        """Whether the emulator answers."""
        try:
            return bool(self.call("GET", "/healthz")["ok"])
        except OSError:
            return False

    def _post(self, path: str, body: object) -> Record:
        return dict(self.call("POST", path, body))
