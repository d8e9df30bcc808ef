"""What the order domain refuses, one class per refusal; each message says what would be accepted."""


class OrderError(Exception):
    """Any refusal by the order domain."""


class InvalidValue(OrderError, ValueError):
    """A value that no order may hold, whatever its state; `field` names it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail


class OrderNotFound(OrderError):
    """The order has no events."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"There is no order {order_id!r}.")


class OrderAlreadyPlaced(OrderError):
    """Placing an order under an id that has events."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Order {order_id} has already been placed; place the new order under another id.")


class TooManyItems(OrderError):
    """More items than an order may have, which are `max_items`."""

    def __init__(self, order_id: str, max_items: int) -> None:
        super().__init__(f"An order may have {max_items} items, and order {order_id} would have more.")
        self.max_items = max_items


class RefusedByStatus(OrderError):
    """A change that the order's present status does not allow; `status` is that status."""

    rule = ""

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(f"Order {order_id} is {status}; {self.rule}.")
        self.order_id = order_id
        self.status = status


class OnlyPendingOrdersTakeItems(RefusedByStatus):
    rule = "items can change only while it is pending"


class OnlyPendingOrdersCanBeConfirmed(RefusedByStatus):
    rule = "only a pending order can be confirmed"


class EmptyOrderCannotBeConfirmed(RefusedByStatus):
    rule = "it has no items, and only an order with at least one can be confirmed"


class ShippedOrCancelledOrdersCannotBeCancelled(RefusedByStatus):
    rule = "only a pending or confirmed order can be cancelled"


class OnlyConfirmedOrdersCanBeShipped(RefusedByStatus):
    rule = "only a confirmed order can be shipped"
