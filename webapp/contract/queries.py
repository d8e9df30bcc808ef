"""The queries of the contract: orders as they are shown, and as they were."""

from webapp.api.schemas import DiffQuery, NoQuery, OrderQuery, OrdersOfStatusQuery, OrdersQuery, StatisticsQuery
from webapp.contract import examples
from webapp.contract.answers import AuditTrail, OrderDetails, OrderDiff, OrderPage, OrderStatistics
from webapp.contract.header_fields import ETAG, IF_NONE_MATCH, PREFER, REQUEST_ID
from webapp.contract.operation import Answer, Operation
from webapp.problems import catalogue as problems

TAG = "Queries"

_LIST_HEADERS = (PREFER["name"], REQUEST_ID)
_LIST_PROBLEMS = (problems.INVALID, problems.READ_MODEL_BEHIND)
_ORDER_PROBLEMS = (problems.INVALID, problems.NOT_FOUND, problems.ORDER_NOT_FOUND, problems.EVENT_UNKNOWN)
_PAGE = Answer(status=200, description="A page of the list.", model=OrderPage, example=examples.PAGE)

OPERATIONS = (
    Operation(
        endpoint="queries.index",
        method="get",
        path="/orders",
        name="list_orders",
        summary="List orders",
        description="Newest placed first. Parameters combine.",
        tag=TAG,
        headers=_LIST_HEADERS,
        query=OrdersQuery,
        answers=(_PAGE,),
        problems=_LIST_PROBLEMS,
    ),
    Operation(
        endpoint="queries.index_of_status",
        method="get",
        path="/orders/status/{status}",
        name="list_orders_of_status",
        summary="List the orders in one state",
        tag=TAG,
        headers=_LIST_HEADERS,
        query=OrdersOfStatusQuery,
        answers=(_PAGE,),
        problems=(*_LIST_PROBLEMS, problems.NOT_FOUND),
    ),
    Operation(
        endpoint="queries.show_statistics",
        method="get",
        path="/orders/statistics",
        name="show_statistics",
        summary="Count orders, and sum the revenue",
        tag=TAG,
        headers=_LIST_HEADERS,
        query=StatisticsQuery,
        answers=(Answer(status=200, description="The numbers.", model=OrderStatistics, example=examples.STATISTICS),),
        problems=_LIST_PROBLEMS,
    ),
    Operation(
        endpoint="queries.show_order",
        method="get",
        path="/orders/{order_id}",
        name="show_order",
        summary="Show an order",
        description="As it is, or as it was; at most one of min_version, version and as_of may be given.",
        tag=TAG,
        headers=(IF_NONE_MATCH["name"], PREFER["name"], REQUEST_ID),
        query=OrderQuery,
        answers=(
            Answer(
                status=200,
                description="The order with its items.",
                model=OrderDetails,
                headers=(ETAG,),
                example=examples.DETAILS,
            ),
            Answer(status=304, description="The client has it already.", media_types=(), headers=(ETAG,)),
        ),
        problems=(
            *_ORDER_PROBLEMS,
            problems.NO_SUCH_VERSION,
            problems.NOT_PLACED_YET,
            problems.READ_MODEL_BEHIND,
        ),
    ),
    Operation(
        endpoint="queries.show_events",
        method="get",
        path="/orders/{order_id}/events",
        name="show_events",
        summary="Show an order's past, event by event",
        tag=TAG,
        query=NoQuery,
        answers=(Answer(status=200, description="The audit trail.", model=AuditTrail, example=examples.AUDIT_TRAIL),),
        problems=_ORDER_PROBLEMS,
    ),
    Operation(
        endpoint="queries.show_diff",
        method="get",
        path="/orders/{order_id}/diff",
        name="show_diff",
        summary="Show what changed between two versions",
        tag=TAG,
        query=DiffQuery,
        answers=(Answer(status=200, description="The changes.", model=OrderDiff, example=examples.DIFF),),
        problems=(*_ORDER_PROBLEMS, problems.NO_SUCH_VERSION),
    ),
)
