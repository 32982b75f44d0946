"""The commands of `mirror`, one module each, imported when asked for by flows.cli."""
