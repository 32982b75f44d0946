"""Properties of what is read from text: references, digests, media types, header fields."""

from __future__ import annotations

import json
import re
import string
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from mirror.registry import (
    EMPTY_INDEX,
    Descriptor,
    InvalidManifest,
    InvalidReference,
    Manifest,
    Reference,
    RegistryError,
    parse_digest,
    rewrite_index,
)
from mirror.registry.http.challenge import Challenge, choose, parse_challenges
from mirror.registry.http.headers import (
    ContentRange,
    content_range,
    length,
    next_link,
    quota_status,
    retry_after,
    uploaded_bytes,
)
from mirror.registry.spec.digest import digest_of
from mirror.registry.spec.media_type import essence, is_foreign_layer, is_index

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)

word = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
component = st.builds(
    lambda first, rest: first + "".join(rest),
    word,
    st.lists(
        st.builds(str.__add__, st.sampled_from([".", "_", "__", "-", "--"]), word), max_size=2
    ),
)
path = st.lists(component, min_size=1, max_size=3).map("/".join)
port = st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))
host = st.one_of(
    st.builds("{}.{}{}".format, word, st.sampled_from(["com", "io", "cn"]), port),
    port.map("localhost{}".format),
    st.integers(1, 65535).map("[::1]:{}".format),
)
tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
digest = st.binary(max_size=8).map(digest_of)
token = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=10)
# A quoted string in a header, as a client has to expect it.
quoted = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@given(host, path, st.none() | tag, st.none() | digest)
def test_a_reference_survives_being_written_and_read(
    registry: str, repository: str, name: str | None, content: str | None
) -> None:
    text = f"{registry}/{repository}"
    text += f":{name}" if name else ""
    text += f"@{content}" if content else ""
    found = Reference.parse(text)
    assert (found.registry, found.repository) == (registry, repository)
    assert (found.tag, found.digest) == (name, content)
    assert str(found) == text
    assert Reference.parse(str(found)) == found


@given(component, st.none() | tag)
def test_a_short_name_is_one_of_docker_hub_s_library(name: str, version: str | None) -> None:
    found = Reference.parse(f"{name}:{version}" if version else name)
    assert (found.registry, found.repository) == ("docker.io", f"library/{name}")
    assert Reference.parse(str(found)) == found


@pytest.mark.parametrize("hub", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_every_name_of_docker_hub_is_docker_io(hub: str) -> None:
    assert Reference.parse(f"{hub}/a/b:1") == Reference("docker.io", "a/b", "1")


@given(st.text(max_size=80) | st.text("abc/:@.-_Z0[]", max_size=40))
def test_any_text_is_a_reference_or_a_clear_error(text: str) -> None:
    try:
        found = Reference.parse(text)
    except InvalidReference as error:
        assert str(error).isprintable()
    else:
        assert Reference.parse(str(found)) == found


@given(digest | st.text(max_size=140) | st.text("abcdef0123456789:sh", max_size=80))
def test_any_text_is_a_digest_or_an_error(text: str) -> None:
    if re.fullmatch(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}", text, re.ASCII):
        assert str(parse_digest(text)) == text
    else:
        with pytest.raises(InvalidReference, match="is not a digest") as caught:
            parse_digest(text)
        assert str(caught.value).isprintable()


@given(st.binary(max_size=100), st.sampled_from(["sha256", "sha512"]))
def test_a_digest_matches_its_bytes_and_no_others(data: bytes, algorithm: str) -> None:
    found = parse_digest(digest_of(data, algorithm))
    assert found.matches(data)
    assert not found.matches(data + b"x")


@given(st.sampled_from(["", "; charset=utf-8", " ;x=y", ";"]), st.booleans())
def test_parameters_and_case_do_not_change_a_media_type(parameters: str, upper: bool) -> None:
    media_type = "application/vnd.oci.image.index.v1+json"
    assert is_index((media_type.upper() if upper else media_type) + parameters)
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    assert is_foreign_layer((foreign.upper() if upper else foreign) + parameters)


@given(st.text(max_size=60))
def test_any_text_has_an_essence(text: str) -> None:
    assert ";" not in essence(text)
    assert essence(essence(text)) == essence(text)


@given(
    st.lists(
        st.tuples(token, st.dictionaries(token.map(str.lower), quoted, min_size=1, max_size=4)),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_challenges_survive_being_written_and_read(
    wanted: list[tuple[str, dict[str, str]]], one_field: bool
) -> None:
    def written(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    fields = [
        f"{scheme} " + ", ".join(f'{name}="{written(text)}"' for name, text in parameters.items())
        for scheme, parameters in wanted
    ]
    found = parse_challenges([", ".join(fields)] if one_field else fields)
    assert found == tuple(Challenge(scheme.lower(), parameters) for scheme, parameters in wanted)


@given(st.lists(st.text(max_size=80) | st.text('Bearer ealm="\\,', max_size=40), max_size=3))
def test_any_text_gives_challenges_or_none(values: list[str]) -> None:
    found = parse_challenges(values)
    text = "\n".join(values).lower()
    for challenge in found:
        assert challenge.scheme and challenge.scheme in text
        assert all(name and name in text for name in challenge.parameters)
    chosen = choose(found)
    if chosen is None:
        assert all(one.scheme != "basic" for one in found)
        assert not any(one.parameters.get("realm") for one in found if one.scheme == "bearer")
    else:
        assert chosen in found
        assert chosen.scheme == "basic" or chosen.parameters["realm"]


def test_bearer_comes_before_basic_and_needs_a_realm() -> None:
    both = parse_challenges(['Basic realm="x", Bearer realm="https://a/token",service="s"'])
    chosen = choose(both)
    assert chosen is not None
    assert chosen.parameters == {"realm": "https://a/token", "service": "s"}
    assert choose(parse_challenges(['Bearer service="s"', 'Basic realm="x"'])) == both[0]
    assert choose(parse_challenges(["Negotiate"])) is None


address = st.text(string.ascii_letters + string.digits + "/?=&%._-:,;", min_size=1, max_size=40)


@given(address, st.sampled_from(['; rel="next"', ";rel=next", "; REL=NEXT", '; rel="up next"', ""]))
def test_the_link_to_the_next_page_is_found(target: str, relation: str) -> None:
    assert next_link(f"<{target}>{relation}") == target
    assert next_link(f'</first>; rel="prev"; title="a, b", <{target}>{relation}') == target


@given(st.text(max_size=80) | st.text('<>;,rel="next', max_size=40))
def test_any_text_has_a_next_link_or_none(text: str) -> None:
    found = next_link(text)
    assert found is None or f"<{found}>" in text, "a link that the text does not hold"
    assert found is not None or not re.match(r"\s*<[^<>;,]*>\s*$", text)


@given(st.integers(1, 10**12))
def test_the_range_of_an_upload_says_how_many_bytes_it_holds(last: int) -> None:
    assert uploaded_bytes(f"0-{last}") == uploaded_bytes(f"bytes=0-{last}") == last + 1


def test_a_range_that_is_ambiguous_or_has_a_hole_is_not_built_upon() -> None:
    assert uploaded_bytes("0-0") == 0
    assert uploaded_bytes("5-9") is None
    assert uploaded_bytes(None) is None


@given(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_content_range_is_read(start: int, more: int, beyond: int) -> None:
    end = start + more
    total = end + 1 + beyond
    assert content_range(f"bytes {start}-{end}/{total}") == ContentRange(start, end, total)
    assert content_range(f"bytes {start}-{end}/*") == ContentRange(start, end, None)
    assert content_range(f"bytes {start}-{end}/{end}") is None


@given(st.text(max_size=60) | st.text("bytes 0123456789-/*=", max_size=40))
def test_any_text_is_a_range_a_length_a_wait_a_quota_or_none(text: str) -> None:
    part = content_range(text)
    if part is not None:
        assert 0 <= part.start <= part.end
        assert part.total is None or part.end < part.total
        assert f"{part.start}-{part.end}" in re.sub(r"\b0+(?=[0-9])", "", text)
    held = uploaded_bytes(text)
    assert held is None or held == 0 or re.search(rf"0-0*{held - 1}\s*$", text)
    size = length(text)
    assert size is None or size == int(text)
    wait = retry_after(text, NOW)
    assert wait is None or wait >= 0.0
    reading = quota_status({"ratelimit-limit": text, "ratelimit-remaining": text}, NOW)
    if reading is not None:
        assert reading.limit == reading.remaining == int(re.split(r"[\s;]", text.strip())[0])
        assert reading.window_seconds >= 0
    assert quota_status({"ratelimit-limit": text}, NOW) is None


@given(st.integers(0, 86_400))
def test_retry_after_is_seconds_a_date_or_a_unix_timestamp(seconds: int) -> None:
    then = NOW + timedelta(seconds=seconds)
    assert retry_after(str(seconds), NOW) == seconds
    assert retry_after(format_datetime(then, usegmt=True), NOW) == seconds
    assert retry_after(str(int(then.timestamp())), NOW) == seconds
    assert retry_after(format_datetime(NOW - timedelta(seconds=5), usegmt=True), NOW) == 0


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_quota_is_read(limit: int, remaining: int, window: int) -> None:
    fields = {
        "ratelimit-limit": f"{limit};w={window}",
        "ratelimit-remaining": f"{remaining};w={window}",
        "docker-ratelimit-source": "192.0.2.1",
    }
    found = quota_status(fields, NOW)
    assert found is not None
    assert (found.limit, found.remaining, found.window_seconds) == (limit, remaining, window)
    assert (found.source, found.read_at) == ("192.0.2.1", NOW)


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
descriptor = st.fixed_dictionaries(
    {"mediaType": st.text(max_size=20), "digest": digest, "size": st.integers(0, 2**40)},
    optional={
        "platform": st.fixed_dictionaries({"os": word, "architecture": word}),
        "annotations": st.dictionaries(word, st.text(max_size=10), max_size=2),
        "urls": st.lists(st.text(max_size=10), max_size=2),
        "x-unknown": json_value.filter(lambda value: value == value),
    },
)


@given(
    st.lists(descriptor, max_size=5),
    st.lists(descriptor, max_size=2),
    st.sampled_from(["sha256", "sha512"]),
    st.data(),
)
def test_a_rewritten_index_keeps_all_that_is_not_rewritten(
    children: list[dict[str, Any]],
    more: list[dict[str, Any]],
    algorithm: str,
    data: st.DataObject,
) -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": children,
        "annotations": {"a": "ü"},
        "x": [1.5, None],
    }
    raw = json.dumps(document).encode()
    index = Manifest.parse(raw, digest=digest_of(raw, algorithm))
    digests = [child.digest for child in index.children]
    some = st.lists(st.sampled_from(digests), max_size=3).map(set) if digests else st.just(set())
    left_out, exchanged = data.draw(some), data.draw(some)
    other = EMPTY_INDEX
    added = [Descriptor(one["mediaType"], one["digest"], one["size"]) for one in more]

    rebuilt = rewrite_index(
        index, without=left_out, replaced=dict.fromkeys(exchanged, other), added=added
    )

    kept = [
        {**child, "digest": other.digest, "size": other.size}
        if child["digest"] in exchanged
        else child
        for child in children
        if child["digest"] not in left_out
    ]
    kept += [
        {name: one[name] for name in ("mediaType", "digest", "size")}
        for one in more
        if one["digest"] not in digests
    ]
    assert json.dumps(json.loads(rebuilt.raw)) == json.dumps({**document, "manifests": kept})
    assert rebuilt.media_type == index.media_type
    assert rebuilt.digest == digest_of(rebuilt.raw, algorithm)
    if kept == children:
        assert rebuilt is index, "its bytes are kept where nothing changes"


def test_only_an_index_is_rewritten() -> None:
    document = {
        "config": {"mediaType": "a/b", "digest": digest_of(b""), "size": 0},
        "layers": [],
    }
    image = Manifest.parse(json.dumps(document).encode())
    assert rewrite_index(image, without={digest_of(b"")}) is image
    with pytest.raises(InvalidManifest, match="is not an index"):
        rewrite_index(image, added=[EMPTY_INDEX.descriptor])


@given(
    st.binary(max_size=60)
    | json_value.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(
            [
                "schemaVersion",
                "mediaType",
                "manifests",
                "layers",
                "config",
                "subject",
                "annotations",
            ]
        ),
        json_value | st.lists(descriptor, max_size=2) | descriptor,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_a_manifest_or_an_error_of_the_tree(raw: bytes) -> None:
    try:
        found = Manifest.parse(raw)
    except RegistryError as error:
        assert str(error).isprintable()
        return
    assert found.raw == raw
    assert isinstance(found.children, tuple)
    assert isinstance(found.blobs, tuple)
    _ = (found.subject, found.annotations, found.artifact_type, found.descriptor)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b"9" * 10_000, b'{"a":"\\ud800"}', b"\xff\xfe{}"])
def test_json_that_breaks_readers_is_an_invalid_manifest(raw: bytes) -> None:
    with pytest.raises(InvalidManifest):
        Manifest.parse(raw)
