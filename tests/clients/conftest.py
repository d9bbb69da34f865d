from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.clients.published import Published, every_kind


@pytest.fixture(scope="session")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Published]]:
    with every_kind(tmp_path_factory.mktemp("campus")) as feeds:
        yield feeds


@pytest.fixture(scope="session")
def bodies(feeds: Sequence[Published]) -> Mapping[str, bytes]:
    return {each.name: each.body() for each in feeds}
