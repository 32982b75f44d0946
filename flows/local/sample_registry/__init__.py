"""A registry in memory, Docker Hub's web API before it, and sample images.

For `mirror demo` and for tests of faults. Errors:

    RefusalError    the registry refuses a request (answers.py)
    DroppedError    a scripted fault cuts the connection (faults.py)

Both stay inside: a client sees their answers, or a broken connection.
"""
