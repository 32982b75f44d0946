"""The sample registry of `mirror demo`, extended by what tests need.

registry.py     FakeRegistry: authentication, quotas, a CDN, and a table of faults
behaviour.py    switches for what registries do differently; quirks.py: known registries
reads.py manifests.py uploads.py    handlers that obey these switches
access.py limits.py    tokens and accounts; requests a minute and pull quotas
faults.py       what goes wrong when: replies, broken and slow connections, wrong bytes
hub.py          FakeHub: the web API with lags, omissions and a rate limit
store.py        large blobs in files
images.py kinds.py oddities.py signatures.py    every kind of image that exists
push.py         pushes images with plain requests
"""
