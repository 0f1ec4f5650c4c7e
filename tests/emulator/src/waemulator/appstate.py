"""App state sync: the one patch that tells a newly linked device the account's own push name."""

import hashlib
import hmac
import json
import os

from pyaileys.appstate.keys import expand_app_state_keys
from pyaileys.appstate.processor import HashState, generate_content_mac, generate_patch_mac
from pyaileys.crypto.aes import aes_encrypt_cbc_pkcs7

from waemulator.proto import messages
from waemulator.wire import now

SET = 0
"""SyncdMutation.SET"""
PATCH_VERSION = 1


def push_name_patch(collection: str, *, key_id: bytes, key: bytes, name: str) -> bytes:
    """The serialized first patch of a collection: it sets `setting_pushName`, sealed with the account's app state key."""
    keys = expand_app_state_keys(key)
    action = messages.SyncActionData(index=json.dumps(["setting_pushName"]).encode(), padding=b"", version=1)
    action.value.timestamp = now() * 1000
    action.value.pushNameSetting.name = name
    iv = os.urandom(16)
    blob = iv + aes_encrypt_cbc_pkcs7(action.SerializeToString(), key=keys.value_encryption, iv=iv)
    blob += generate_content_mac(SET, blob, key_id, keys.value_mac)

    patch = messages.SyncdPatch()
    patch.version.version = PATCH_VERSION
    mutation = patch.mutations.add()
    mutation.operation = SET
    mutation.record.index.blob = hmac.new(keys.index, action.index, hashlib.sha256).digest()
    mutation.record.value.blob = blob
    mutation.record.keyId.id = key_id
    state = HashState(version=PATCH_VERSION)
    state.update_hash(list(patch.mutations), lambda *_: None)
    patch.snapshotMac = state.generate_snapshot_mac(collection, keys.snapshot_mac)
    patch.keyId.id = key_id
    patch.patchMac = generate_patch_mac(patch, collection, keys.patch_mac, PATCH_VERSION)
    return bytes(patch.SerializeToString())


def key_share(*, key_id: bytes, key: bytes) -> "messages.Message":
    """The message in which the account's phone hands a linked device the app state key."""
    message = messages.Message()
    message.protocolMessage.type = messages.Message.ProtocolMessage.APP_STATE_SYNC_KEY_SHARE
    share = message.protocolMessage.appStateSyncKeyShare.keys.add()
    share.keyId.keyId, share.keyData.keyData, share.keyData.timestamp = key_id, key, now()
    # The client's key store has a NOT NULL column for the fingerprint.
    share.keyData.fingerprint.rawId, share.keyData.fingerprint.currentIndex = 1, 1
    return message
