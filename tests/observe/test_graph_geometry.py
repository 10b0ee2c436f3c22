from labctl.observe.graph_geometry import Port, Rect, Route, moved_rect, moved_route


def test_moving_a_route_moves_its_ends_its_curves_and_its_label() -> None:
    route = Route(
        Port(0, 1, 1), Port(9, 5, -1), (((2, 1), (4, 1), (4, 5), (6, 5)),), Rect(3, 2, 2, 1)
    )
    assert moved_route(route, 10, 100) == Route(
        Port(10, 101, 1),
        Port(19, 105, -1),
        (((12, 101), (14, 101), (14, 105), (16, 105)),),
        Rect(13, 102, 2, 1),
    )


def test_moving_a_rectangle_keeps_its_size() -> None:
    assert moved_rect(Rect(1, 2, 3, 4), 10, 20) == Rect(11, 22, 3, 4)
