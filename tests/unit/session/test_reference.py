"""The reference page of the recorded session covers every table and column."""

from __future__ import annotations

import pytest

from rtrecon.session.about import About
from rtrecon.session.field_docs import describe_fields
from rtrecon.session.reference import session_reference
from rtrecon.session.tables import make_table_specs
from tests.support import session_tables as world

SPECS = make_table_specs(world.make_about())


@pytest.mark.parametrize("name", SPECS)
def test_every_column_has_a_description_and_stands_in_the_reference(name):
    page = session_reference()
    assert f"## Table `{name}`" in page
    for doc in SPECS[name].column_docs:
        assert doc.description
        assert f"| `{doc.name}` | {doc.unit} | {doc.description} |" in page


@pytest.mark.parametrize("name", [n for n, spec in SPECS.items() if spec.values])
def test_every_array_has_a_unit_and_a_description(name):
    values = SPECS[name].values
    assert values.unit
    assert values.description in session_reference()
    assert len(values.dimensions) == len(values.shape)


def test_every_constant_has_a_description():
    assert all(doc.description for doc in describe_fields(About))
