"""A passkey in software, as a browser uses one: it answers WebAuthn's options with JSON (WebAuthn Level 3, 5.1)."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import Aaguid, AttestedCredentialData, AuthenticatorData


class Passkey:
    """One resident key. ``verifies``: whether it checks the person by PIN or fingerprint."""

    def __init__(self, origin: str = "https://testserver", *, verifies: bool = True) -> None:
        self.origin = origin
        self.flags = AuthenticatorData.FLAG.UP
        if verifies:
            self.flags |= AuthenticatorData.FLAG.UV
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(16)
        self.handle = ""
        self.host = ""

    def make(self, options: dict[str, Any]) -> str:
        """Return the answer to ``navigator.credentials.create``."""
        wanted = options["publicKey"]
        self.handle, self.host = wanted["user"]["id"], wanted["rp"]["id"]
        public = ES256.from_cryptography_key(self.key.public_key())  # type: ignore[no-untyped-call]
        data = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        shown = AuthenticatorData.create(self._host_hash(), self.flags | AuthenticatorData.FLAG.AT, 0, data)
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": bytes(shown)})
        client = self._client("webauthn.create", wanted["challenge"])
        return self._answer({"clientDataJSON": client, "attestationObject": attestation}, {"credProps": {"rk": True}})

    def use(self, options: dict[str, Any]) -> str:
        """Return the answer to ``navigator.credentials.get``."""
        client = self._client("webauthn.get", options["publicKey"]["challenge"])
        shown = bytes(AuthenticatorData.create(self._host_hash(), self.flags, 0))
        signature = self.key.sign(shown + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        handle = websafe_decode(self.handle)
        return self._answer(
            {"clientDataJSON": client, "authenticatorData": shown, "signature": signature, "userHandle": handle}, {}
        )

    def _host_hash(self) -> bytes:
        return hashlib.sha256(self.host.encode()).digest()

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _answer(self, response: dict[str, bytes], extensions: dict[str, Any]) -> str:
        return json.dumps(
            {
                "id": websafe_encode(self.id),
                "rawId": websafe_encode(self.id),
                "type": "public-key",
                "response": {name: websafe_encode(value) for name, value in response.items()},
                "clientExtensionResults": extensions,
            }
        )
