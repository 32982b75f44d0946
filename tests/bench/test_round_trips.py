"""What a tag waits for, request by request: a change that adds a round trip fails."""

from __future__ import annotations

from bench.round_trips import first_sync, new_tag

COPY = [
    "source: GET blobs/DIGEST x3; source: GET referrers/DIGEST; target: POST blobs/uploads/ x3",
    "target: PUT blobs/uploads/ID x3",
    "target: PUT manifests/1.0.1",
    "target: GET manifests/1.0.1; target: HEAD blobs/DIGEST x3",
]


def test_a_first_sync_takes_seven_round_trips() -> None:
    assert first_sync() == [
        "source: GET tags/list; target: GET tags/list",
        "source: HEAD manifests/1.0.1",
        "source: GET manifests/DIGEST",
        *COPY,
    ]


def test_a_new_tag_takes_five_once_it_is_known() -> None:
    assert new_tag() == [
        "source: GET tags/list",
        "source: HEAD manifests/1.0.0; source: HEAD manifests/1.0.1",
        "source: GET manifests/DIGEST; target: GET /v2/",
        *COPY,
    ]
