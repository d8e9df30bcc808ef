"""The operations of the contract that are about the service itself; none needs a key."""

from webapp.contract import examples
from webapp.contract.answers import Liveness, Readiness
from webapp.contract.operation import Answer, Operation
from webapp.problems import catalogue as problems

TAG = "Service"

OPERATIONS = (
    Operation(
        endpoint="health.livez",
        method="get",
        path="/livez",
        name="livez",
        summary="Whether the process runs",
        tag=TAG,
        answers=(Answer(status=200, description="It runs.", model=Liveness, example={"status": "alive"}),),
        problems=(),
    ),
    Operation(
        endpoint="health.readyz",
        method="get",
        path="/readyz",
        name="readyz",
        summary="Whether it can serve",
        tag=TAG,
        answers=(Answer(status=200, description="It can.", model=Readiness, example=examples.READY),),
        problems=(problems.NOT_READY,),
    ),
    Operation(
        endpoint="contract.openapi",
        method="get",
        path="/openapi.json",
        name="show_contract",
        summary="This contract",
        tag=TAG,
        answers=(Answer(status=200, description="OpenAPI 3.1."),),
        problems=(),
    ),
    Operation(
        endpoint="contract.docs",
        method="get",
        path="/docs",
        name="show_docs",
        summary="This contract, for people",
        tag=TAG,
        answers=(Answer(status=200, description="A page.", media_types=("text/html",)),),
        problems=(),
    ),
    Operation(
        endpoint="problem",
        method="get",
        path="/problems/{slug}",
        name="explain_problem",
        summary="What a problem's type means, and what to do",
        tag=TAG,
        answers=(Answer(status=200, description="A page, or plain text.", media_types=("text/plain", "text/html")),),
        problems=(problems.NOT_FOUND,),
    ),
)
