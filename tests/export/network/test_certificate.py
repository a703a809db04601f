import json
from dataclasses import replace

import pytest

from export import Certificate, LayerCertificate

LAYER = LayerCertificate("conv", "lif", 0.5, 127, 10, 100, 1000, 2000, 2001)


@pytest.mark.parametrize(
    ("changes", "certified"),
    [
        ({}, True),
        ({"limit": 2000}, False),  # the limit itself is too much
        ({"sum_bound": 2001}, False),
        ({"membrane_bound": None, "limit": 1001}, True),
        ({"membrane_bound": None, "limit": 1000}, False),
    ],
)
def test_certified_is_below_the_limit(changes, certified):
    layer = replace(LAYER, **changes)
    assert layer.certified is certified
    assert Certificate((LAYER, layer)).certified is certified


def test_certificate_of_several_layers():
    certificate = Certificate((LAYER, replace(LAYER, name="other", limit=1)))
    assert len(certificate) == 2
    assert [layer.name for layer in certificate] == ["conv", "other"]
    rows = json.loads(json.dumps(certificate.to_list()))
    assert [row["certified"] for row in rows] == [True, False]
    assert rows[0]["sum_bound"] == 1000
