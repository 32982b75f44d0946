"""mirrors.yaml, the environment and the credentials that they name, as frozen models."""
