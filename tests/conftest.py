"""What all tests share; the fixtures themselves are in tests/support."""

pytest_plugins = (
    "tests.support.coverage_floor",
    "tests.support.fixtures",
    "tests.support.records",
    "tests.support.users",
)
