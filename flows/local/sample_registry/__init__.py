"""The registries of `mirror demo`: two in memory, Docker Hub's web API, and sample images.

Imports nothing else of this project, so that what is mirrored owes nothing to what mirrors it. The
tests' fake registry (tests/support/fake_registry) extends it with faults and other registries'
behaviour.

    registry.py     a registry: distribution-spec v1.1 without authentication
    routes.py       which handler answers which request
    manifests.py blobs.py uploads.py listings.py    the handlers
    call.py replies.py    a request and its reply, as handlers see them
    server.py       HTTP on the loopback; requests are logged, an Interceptor may change them
    store.py        repositories, tags, manifests, blobs, uploads
    hub.py          Docker Hub's web API over such a store
    images.py releases.py content.py    sample images and HagiCode's releases
    documents.py digests.py media_types.py    what the specifications define

Errors, which clients see as replies or as a broken connection:

    RefusalError    the registry refuses a request
    DroppedError    an interceptor cuts the connection
"""
