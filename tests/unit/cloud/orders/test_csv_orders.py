"""A CSV of orders is read whole; what is wrong is told by line and column, and names nobody."""

import pytest

from hemaline_cloud.orders.csv_orders import read_csv
from hemaline_cloud.orders.order import NewOrder
from hemaline_shared.errors import PermanentError

FULL = """barcode,identifier,name,birth_date,wbc,hb,hb_unit,plt,ordered_at
24-1,4711,"Example, Erin",1980-05-17,31.4,9.1,g/dL,41,2026-03-02T07:55:00Z
24-2,,,,,,,,
"""


def told(text: str) -> list[str]:
    return [f"{place}: {found}" for place, found in read_csv(text)]


def test_each_line_is_an_order():
    (first, one), (second, two) = read_csv(FULL)
    assert (first, second) == ("line 2", "line 3")
    assert isinstance(one, NewOrder)
    assert one.patient
    assert one.patient.name == "Example, Erin"
    assert one.blood_count.hb
    assert (one.blood_count.hb.value, one.blood_count.hb.unit) == (9.1, "g/dL")
    assert one.blood_count.wbc
    assert one.blood_count.wbc.unit == "10*9/L"
    assert one.ordered_at
    assert two == NewOrder(barcode="24-2")


@pytest.mark.parametrize(
    "text",
    [
        "name;Barcode;birth_date;identifier\nErin;24-1;1980-05-17;1\n",
        "\ufeffbarcode\tname\tbirth_date\tidentifier\r\n24-1\tErin\t1980-05-17\t1\r\n\r\n",
    ],
    ids=["semicolons, another order", "tabs, a mark, a blank line"],
)
def test_what_spreadsheets_write_is_read(text):
    ((_place, order),) = read_csv(text)
    assert isinstance(order, NewOrder)
    assert (order.barcode, bool(order.patient)) == ("24-1", True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("24-1,4711,Secret,17.05.1980,,,,,", "birth_date: is no date: write it as 1980-05-17"),
        ("24-1,4711,Secret,,,,,,", "birth_date: is missing"),
        ("24-1,,Secret,1980-05-17,,,,,", "identifier: is missing"),
        (",4711,Secret,1980-05-17,,,,,", "barcode:"),
        ("24-1,4711,Secret,1980-05-17,many,,,,", "wbc: input should be a valid number"),
        ("24-1,4711,Secret,1980-05-17,-1,,,,", "wbc: input should be greater than"),
        ("24-1,4711,Secret,1980-05-17,,9,,,", "hb_unit: is missing"),
        ("24-1,4711,Secret,1980-05-17,,9,pound,,", "hb_unit: input should be 'g/dL'"),
        ("24-1,4711,Secret,1980-05-17,nan,,,,", "wbc: input should be a finite number"),
        ("24-1,4711,Secret", "It has 3 parts, and the first line 9"),
    ],
)
def test_what_is_wrong_with_a_line_is_told(line, words):
    (fault,) = told(FULL.splitlines()[0] + "\n" + line)
    assert fault.startswith("line 2: ")
    assert words in fault
    assert "Secret" not in fault
    assert "4711" not in fault


@pytest.mark.parametrize(
    "text", ["", "24-1,4711,Secret", "barcode,barcode\n1,1", "name,identifier\nSecret,1"]
)
def test_a_file_without_our_columns_is_refused(text):
    with pytest.raises(PermanentError, match="The first line must name the columns") as refused:
        told(text)
    assert "Secret" not in str(refused.value)


def test_an_open_quotation_is_told():
    with pytest.raises(PermanentError, match="quotation mark is not closed"):
        told('barcode,name\n24-1,"Secret\n')
