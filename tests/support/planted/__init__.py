"""Secrets in every place where the mirror finds one, servers that echo them, and a search for them.

secrets.py  the secrets, and the forms in which one may be quoted
echo.py     a registry, a token service, a proxy and robots that quote whatever they get
places.py   where a secret might have been left: files, databases, processes
"""
