from labctl.observe.ladder_draw import draw
from labctl.observe.ladder_rows import Row

MS = 1_000_000


def picture(*lines: str) -> list[str]:
    return list(lines)


def test_arrows_lead_from_the_sender_to_the_receiver() -> None:
    assert draw(
        [Row(0, "client", "server", "SYN"), Row(20 * MS, "server", "client", "SYN, ACK")],
        ["client", "server"],
    ) == picture(
        "   client           server",
        "      │── SYN ────────▶│   0.000",
        "      │◀─── SYN, ACK ──│   0.020",
    )


def test_what_is_lost_ends_before_the_receiver_and_what_is_on_its_way_too() -> None:
    assert draw(
        [
            Row(0, "a", "b", "one", "lost", "lost", "a"),
            Row(0, "b", "a", "two", "lost: drop (rule 1)", "lost", "b"),
            Row(0, "a", "b", "three", "not arrived yet", "waiting", "a"),
        ],
        ["a", "b"],
    ) == picture(
        "      a                b",
        "      │── one ──────✗  │   0.000  lost",
        "      │  ✗────── two ──│   0.000  lost: drop (rule 1)",
        "      │── three ────…  │   0.000  not arrived yet",
    )


def test_a_long_arrow_crosses_the_nodes_that_forward() -> None:
    assert draw(
        [
            Row(0, "a", "c", "through"),
            Row(0, "a", "c", "lost late", "lost", "lost", "b"),
            Row(0, "a", "c", "early", "lost", "lost", "a"),
            Row(0, "c", "a", "back", "lost", "lost", "b"),
        ],
        ["a", "b", "c"],
    ) == picture(
        "      a                 b                 c",
        "      │── through ──────┼────────────────▶│   0.000",
        "      │── lost late ────┼──────────────✗  │   0.000  lost",
        "      │── early ─────✗  │                 │   0.000  lost",
        "      │  ✗──────────────┼───────── back ──│   0.000  lost",
    )


def test_a_text_stands_alone_and_a_remark_has_no_time() -> None:
    assert draw(
        [Row(0, "", "", "… 7 packets …"), Row(0, "", "", "", "(no reply)")], ["a", "b"]
    ) == picture(
        "      a                b",
        "      │  … 7 packets … │   0.000",
        "      │                │   (no reply)",
    )


def test_what_a_node_sends_to_itself_stays_beside_it() -> None:
    assert draw([Row(0, "a", "a", "one"), Row(0, "b", "b", "two")], ["a", "b"]) == picture(
        "      a                b",
        "      │↺ one           │   0.000",
        "      │           two ↺│   0.000",
    )
    assert draw([Row(0, "a", "a", "alone")], ["a"]) == picture(
        "      a",
        "      │↺ alone         0.000",
    )


def test_where_the_other_end_is_not_known_the_arrow_is_drawn_all_the_same() -> None:
    assert draw(
        [Row(0, "a", "", "gone", "lost", "lost", "a"), Row(0, "", "a", "from nowhere")], ["a", "b"]
    ) == picture(
        "      a                    b",
        "      │── gone ─────────✗  │   0.000  lost",
        "      │◀─── from nowhere ──│   0.000",
    )


def test_a_lonely_node_has_arrows_too() -> None:
    assert draw(
        [Row(0, "a", "", "gone", "lost", "lost", "a"), Row(0, "", "a", "from nowhere")], ["a"]
    ) == picture(
        "      a",
        "      │── gone ─────────✗     0.000  lost",
        "      │◀─── from nowhere ──   0.000",
    )


def test_no_line_is_wider_than_a_hundred_columns() -> None:
    for count in range(1, 6):
        columns = [f"{number}-a-node-with-a-name-that-is-long" for number in range(count)]
        rows = [
            Row(10**12, one, other, "a label " * 20, "a note " * 20, end, one)
            for one in columns
            for other in columns
            for end in ("arrived", "lost", "waiting")
        ]
        lines = draw([*rows, Row(0, "", "", "a text " * 30)], columns)
        assert len(lines) == len(rows) + 2
        assert max(map(len, lines)) <= 100


def test_names_do_not_run_into_each_other() -> None:
    columns = ["a-long-name-of-one", "a-long-name-of-two", "x", "another-long-name", "y"]
    [heading, _] = draw([Row(0, "x", "y", "hi")], columns)

    names = heading.split()
    assert len(names) == 5
    assert names[2] == "x"
