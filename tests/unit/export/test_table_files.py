import csv
import sys

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.export.table_files import write_csv_tables, write_parquet_tables
from rtrecon.session.labeled_array import LabeledTable


def make_table() -> LabeledTable:
    columns = {
        "number": np.arange(3),
        "length_um": np.array([1.5, np.nan, 1e9 + 0.123]),
        "is_confirmed": np.array([True, False, True]),
        "kind": np.array(["contact", "death", "a, b"]),
    }
    return LabeledTable(
        "bodies",
        "row",
        lambda: columns,
        {"length_um": "um"},
        {name: f"What {name} is." for name in columns},
    )


def read_csv(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_tables_hold_every_value_and_explain_every_column(tmp_path):
    table = make_table()
    paths = write_csv_tables(tmp_path / "new", [table])
    assert [path.name for path in paths] == ["bodies.csv", "columns.csv"]
    rows = read_csv(paths[0])
    assert [row["number"] for row in rows] == ["0", "1", "2"]
    assert [row["is_confirmed"] for row in rows] == ["1", "0", "1"]
    assert [row["kind"] for row in rows] == table["kind"].tolist()
    assert rows[1]["length_um"] == ""
    assert float(rows[2]["length_um"]) == table["length_um"][2]
    explained = read_csv(paths[1])
    assert [row["column"] for row in explained] == table.columns
    assert explained[1]["unit"] == "um"


def test_a_folder_that_cannot_be_made_is_an_error_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written"):
        write_csv_tables(tmp_path / "file", [make_table()])


def test_parquet_tables_carry_units_and_descriptions(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = make_table()
    (path,) = write_parquet_tables(tmp_path, [table])
    read = parquet.read_table(path)
    assert read.column_names == table.columns
    assert read["number"].to_pylist() == [0, 1, 2]
    assert read["kind"].to_pylist() == table["kind"].tolist()
    np.testing.assert_array_equal(read["length_um"], table["length_um"])
    assert read.schema.field("length_um").metadata[b"unit"] == b"um"
    assert b"What" in read.schema.field("number").metadata[b"description"]


def test_without_pyarrow_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install rtrecon\[parquet\]"):
        write_parquet_tables(tmp_path, [make_table()])
