"""What a translation was worked out with is freed at once: none of it waits for the garbage collector, whose passes
took a quarter of the time of the way back."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from gateway.codec import hl7v2
from tests.mapping.house import SHANGHAI, back, fixture, into, maps


@pytest.mark.slow
@pytest.mark.parametrize("way", ["into", "back"])
@pytest.mark.parametrize(("name", "structure"), [("05", "ORM_O01"), ("07", "ORU_R01"), ("13", "OUL_R22")])
def test_nothing_waits_for_the_garbage_collector(way: str, name: str, structure: str) -> None:
    body = fixture(name)
    bundle = into(body).bundle
    run: Callable[[], object] = {
        "into": lambda: maps().to_fhir(hl7v2.decode(body), profile=SHANGHAI),
        "back": lambda: back(bundle, structure),
    }[way]
    for _ in range(10):  # what is often met is compiled
        run()
    gc.collect()
    gc.disable()
    try:
        run()
        assert gc.collect() == 0
    finally:
        gc.enable()
