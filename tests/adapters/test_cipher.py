import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.cipher import AesSealer, AesVault, KeysError, ServiceKeys, parse_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def setting(**keys: bytes) -> str:
    return ",".join(f"{id_}:{base64.b64encode(key).decode()}" for id_, key in keys.items())


@pytest.fixture
def vault() -> AesVault:
    keys = ServiceKeys({"old": OLD})
    return AesVault(keys, keys.new_key())


@given(st.binary(max_size=300), st.binary(max_size=20), st.sampled_from(["", "k1", "x" * 64]))
def test_what_is_sealed_is_opened_again_in_the_same_context_only(plain: bytes, context: bytes, id_: str) -> None:
    sealer = AesSealer(OLD, id_)
    sealed = sealer.seal(plain, context)
    assert sealer.open(sealed, context) == plain
    with pytest.raises(ValueError, match="not sealed by this key"):
        sealer.open(sealed, context + b"x")


@given(st.binary(max_size=80))
def test_bytes_of_anybody_else_are_a_value_error(junk: bytes) -> None:
    keys = ServiceKeys({"old": OLD})
    for sealer in (AesSealer(OLD), keys):
        with pytest.raises(ValueError, match="sealed"):
            sealer.open(junk)


@given(st.integers(min_value=0, max_value=40))
def test_any_changed_byte_is_noticed(place: int) -> None:
    sealer = AesSealer(OLD, "k1")
    sealed = bytearray(sealer.seal(b"0123456789"))
    sealed[place % len(sealed)] ^= 1
    with pytest.raises(ValueError, match="sealed"):
        sealer.open(bytes(sealed))


def test_the_form_is_version_key_id_nonce_and_ciphertext() -> None:
    sealed = AesSealer(OLD, "k1").seal(b"four")
    assert sealed.startswith(b"\x01\x02k1")
    assert len(sealed) == 1 + 1 + 2 + 12 + 4 + 16
    assert AesSealer(OLD).seal(b"four")[:2] == b"\x01\x00"


def test_the_first_key_seals_and_every_key_opens() -> None:
    before, after = ServiceKeys({"old": OLD}), ServiceKeys({"new": NEW, "old": OLD})
    assert after.open(before.seal(b"text")) == b"text"
    with pytest.raises(ValueError, match="does not hold"):
        before.open(after.seal(b"text"))


def test_a_vault_seals_under_the_service_key(vault: AesVault) -> None:
    sealed = vault.seal(b"text", b"c")
    assert b"old" in sealed[:8]
    assert vault.open(sealed, b"c") == b"text"


def test_each_customer_has_a_key_of_their_own(vault: AesVault) -> None:
    one, other = vault.new_customer_key(), vault.new_customer_key()
    with pytest.raises(ValueError, match="not sealed by this key"):
        vault.customer(other).open(vault.customer(one).seal(b"text"))


@pytest.mark.parametrize("wrapped", [b"", b"\1", b"\1\3old", b"\1\3newxxxxxxxxxxxxxxxxxxxxxxxx"])
def test_a_destroyed_or_foreign_key_is_a_value_error(vault: AesVault, wrapped: bytes) -> None:
    with pytest.raises(ValueError, match="sealed"):
        vault.customer(wrapped)


def test_sealed_text_is_no_key(vault: AesVault) -> None:
    with pytest.raises(ValueError, match="not sealed by this key in this context"):
        vault.customer(vault.seal(b"x" * 32))


def test_only_the_last_used_sealers_stay_in_memory() -> None:
    keys = ServiceKeys({"old": OLD})
    vault = AesVault(keys, keys.new_key(), kept=2)
    first, second, third = (vault.new_customer_key() for _ in range(3))
    kept = vault.customer(first)
    vault.customer(second)
    assert vault.customer(first) is kept
    forgotten = vault.customer(second)
    vault.customer(first)
    vault.customer(third)
    assert vault.customer(first) is kept
    assert vault.customer(second) is not forgotten


def test_fingerprints_depend_on_key_kind_and_value(vault: AesVault) -> None:
    keys = ServiceKeys({"old": OLD})
    one = vault.fingerprint("phone", "919876543210")
    others = {
        vault.fingerprint("user_id", "919876543210"),
        vault.fingerprint("phone", "919876543211"),
        AesVault(keys, keys.new_key()).fingerprint("phone", "919876543210"),
    }
    assert one == vault.fingerprint("phone", "919876543210")
    assert len(one) == 16
    assert one not in others
    assert len(others) == 3


def test_keys_are_read_in_order_and_blanks_do_no_harm() -> None:
    assert list(parse_keys(f" {setting(new=NEW, old=OLD)} ,").items()) == [("new", NEW), ("old", OLD)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty: make a key with 'openssl"),
        (" , ", "is empty"),
        ("c2VjcmV0", "entry 1 is not id:base64"),
        (":c2VjcmV0", "entry 1 is not id:base64"),
        ("a b:c2VjcmV0", "entry 1 is not id:base64"),
        (setting(a=OLD) + "," + setting(a=NEW), "the id a is used twice"),
        ("a:c2VjcmV", "the key a is not base64"),
        ("a:c2VjcmV0", "the key a has 6 bytes instead of 32: make one with 'openssl"),
    ],
)
def test_bad_settings_are_told_without_the_key(text: str, problem: str) -> None:
    with pytest.raises(KeysError, match=problem) as caught:
        parse_keys(text)
    assert "c2VjcmV" not in str(caught.value)
