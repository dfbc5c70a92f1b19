"""The REST API over a real server; the desk behind it is in memory. Every answer is checked against the document."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest
from aiohttp import web
from yarl import URL

from bot.core.events import (
    AgentAssigned,
    AgentReplied,
    ConversationResolved,
    EscalationRequested,
    PreferencesChanged,
    ReturnedToBot,
)
from bot.core.messages import Template, TemplatePart, Text
from bot.ports.failures import Unavailable
from bot.web.api.asked import LONGEST_MESSAGE
from bot.web.api.cursor import cursor_of
from bot.web.api.reading import BODY_LIMIT
from bot.web.api.serve import add_api
from bot.web.api.table import ROUTES
from bot.web.attempts import ADDRESSES_KEPT, FAILURE_WINDOW, FAILURES_ALLOWED, Attempts
from bot.web.errors import Handler, api_errors
from bot.web.keys import ADMISSION, AUDIT, DESK, ERASING, EXPORTS, RECORDS, WEBHOOKS
from tests.web.api_caller import TOKEN, Caller, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_hooks import memory_endpoints
from tests.web.api_office import MemoryAudit, MemoryTokens, admission
from tests.web.api_people import MemoryErasing, MemoryExports
from tests.web.api_world import MemoryRecords, a_scene, at, id_at

PRIYA, JONAS = "919876543210", "4915112345678"
OLD, NOW, WAITING, DONE, HELD = (id_at(minutes) for minutes in (0, 10, 20, 30, 40))
NOWHERE = "9878def2-07a7-4852-b896-d07fa1a537e1"

StartClient = Callable[[web.Application], Awaitable[Client]]


def application(records: MemoryRecords, desk: MemoryDesk, token: str = TOKEN) -> web.Application:
    app = web.Application(middlewares=[api_errors])
    app[RECORDS], app[DESK], app[AUDIT] = records, desk, MemoryAudit()
    app[ADMISSION] = admission(MemoryTokens(), token)
    app[WEBHOOKS] = memory_endpoints()
    app[EXPORTS], app[ERASING] = MemoryExports(), MemoryErasing()
    add_api(app)
    return app


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords(a_scene())


@pytest.fixture
def desk(records: MemoryRecords) -> MemoryDesk:
    return MemoryDesk(records)


@pytest.fixture
async def call(aiohttp_client: StartClient, records: MemoryRecords, desk: MemoryDesk) -> Caller:
    return Caller(await aiohttp_client(application(records, desk)))


# --- who may --------------------------------------------------------------------------------------------------------


async def test_every_route_wants_the_token(call: Caller) -> None:
    for route in ROUTES[: FAILURES_ALLOWED - 1]:
        path = route.path.replace("{id}", NOW).replace("{phone}", PRIYA)
        answer = await call(route.method, path, token="")
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


@pytest.mark.parametrize("authorization", [TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer \udce9", ""])
async def test_a_wrong_authorization_is_refused(call: Caller, authorization: str) -> None:
    answer = await call("GET", "/flows", token="", headers={"Authorization": authorization})
    assert (answer.status, answer.body["error"]["code"]) == (401, "unauthorized")


async def test_the_scheme_may_be_written_in_any_case(call: Caller) -> None:
    assert (await call("GET", "/flows", token="", headers={"Authorization": f"bearer {TOKEN}"})).status == 200


async def test_too_many_wrong_tokens_of_an_address_must_wait_and_the_right_one_never(call: Caller) -> None:
    for _ in range(FAILURES_ALLOWED):
        assert (await call("GET", "/flows", token="wrong")).status == 401
    answer = await call("GET", "/flows", token="wrong")
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= FAILURE_WINDOW
    assert (await call("GET", "/flows")).status == 200


async def test_without_a_token_setting_the_api_says_what_to_set(
    aiohttp_client: StartClient, records: MemoryRecords, desk: MemoryDesk
) -> None:
    call = Caller(await aiohttp_client(application(records, desk, token="")))
    answer = await call("GET", "/flows", token="")
    assert answer.status == 503
    assert "set ADMIN_TOKEN" in answer.body["error"]["message"]


def test_a_window_of_failures_ends() -> None:
    now = 100.0
    attempts = Attempts(clock=lambda: now)
    for _ in range(FAILURES_ALLOWED):
        assert attempts.seconds_to_wait("a") == 0
        attempts.failed("a")
    assert attempts.seconds_to_wait("a") == FAILURE_WINDOW
    assert attempts.seconds_to_wait("b") == 0
    now += FAILURE_WINDOW
    assert attempts.seconds_to_wait("a") == 0
    attempts.failed("a")
    assert attempts.seconds_to_wait("a") == 0


def test_only_so_many_addresses_are_remembered() -> None:
    attempts = Attempts(clock=lambda: 100.0)
    for _ in range(FAILURES_ALLOWED):
        attempts.failed("first")
    for number in range(ADDRESSES_KEPT):
        attempts.failed(str(number))
    assert attempts.seconds_to_wait("first") == 0


# --- conversations --------------------------------------------------------------------------------------------------


async def test_conversations_come_newest_first_in_pages(call: Caller) -> None:
    first = await call("GET", "/conversations?limit=3")
    assert [one["id"] for one in first.body["items"]] == [HELD, DONE, WAITING]
    second = await call("GET", "/conversations", params={"limit": "3", "cursor": first.body["next"]})
    assert [one["id"] for one in second.body["items"]] == [NOW, OLD]
    assert second.body["next"] is None


async def test_a_page_that_is_just_full_is_the_last(call: Caller) -> None:
    answer = await call("GET", "/conversations?limit=5")
    assert (len(answer.body["items"]), answer.body["next"]) == (5, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=queue", [WAITING]),
        ("status=closed", [DONE, OLD]),
        ("q=%2B91+98765-43210", [NOW, OLD]),
        ("q=3210", [NOW, OLD]),
        ("q=zoe", [WAITING]),
        ("q=shar+pri&status=bot", [NOW]),
        ("q=nobody", []),
        ("q=%20", [HELD, DONE, WAITING, NOW, OLD]),
    ],
)
async def test_conversations_are_found_by_status_number_and_name(call: Caller, query: str, expected: list[str]) -> None:
    answer = await call("GET", f"/conversations?{query}")
    assert [one["id"] for one in answer.body["items"]] == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=lost", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("cursor=%21", "cursor"),
        ("cursor=AAA", "cursor"),
        (f"cursor={cursor_of(5)}", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("q=%3F%21", "q"),
        ("page=2", "page"),
    ],
)
async def test_a_bad_parameter_is_named(call: Caller, query: str, field: str) -> None:
    answer = await call("GET", f"/conversations?{query}")
    assert (answer.status, list(answer.fields)) == (400, [field])


async def test_a_conversation_is_read_with_its_transcript_and_its_cost(call: Caller) -> None:
    body = (await call("GET", f"/conversations/{NOW}")).body
    assert (body["phone_number"], body["name"], body["status"]) == (PRIYA, "Priya Sharma", "bot")
    assert [one["text"] for one in body["messages"]] == ["help me", "Hello Priya!", "Your order number?"]
    assert body["messages"][0]["content"] == {"type": "text", "text": "help me"}
    assert body["messages_next"] is None
    assert body["model"] == {"calls": 2, "tokens": 200, "cost_usd": 0.0035, "estimated": True}
    assert body["created_at"] == "2026-03-01T09:40:15.250000Z"


async def test_a_transcript_comes_newest_page_first_and_each_page_in_order(call: Caller) -> None:
    newest = (await call("GET", f"/conversations/{NOW}?limit=2")).body
    assert [one["seq"] for one in newest["messages"]] == [2, 3]
    oldest = (await call("GET", f"/conversations/{NOW}?limit=2&cursor={newest['messages_next']}")).body
    assert [one["seq"] for one in oldest["messages"]] == [1]
    assert oldest["messages_next"] is None


@pytest.mark.parametrize("raw", ["%FF", "%ED%A0%80", "%00", "a%00b", "%F0%9F%98%80"])
async def test_what_is_not_text_finds_nobody_and_breaks_nothing(call: Caller, raw: str) -> None:
    answer = await call("GET", URL(f"/conversations?q={raw}", encoded=True))
    assert answer.status in {200, 400}


@pytest.mark.parametrize("path", [f"/conversations/{NOWHERE}", "/conversations/nope", f"/messages/{NOWHERE}"])
async def test_what_does_not_exist_is_not_found(call: Caller, path: str) -> None:
    answer = await call("GET", path)
    assert (answer.status, answer.body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("conversation", "action", "body", "event"),
    [
        (HELD, "reply", {"message": "Hi", "agent": "Meera"}, AgentReplied(agent="Meera", content=Text(text="Hi"))),
        (NOW, "escalate", {}, EscalationRequested(by="admin")),
        (
            NOW,
            "escalate",
            {"department": "sales", "reason": "angry", "by": "Anil"},
            EscalationRequested(by="Anil", department="sales", reason="angry"),
        ),
        (WAITING, "assign", {"agent": "Meera"}, AgentAssigned(agent="Meera", by="admin")),
        (HELD, "resolve", {"note": "fixed"}, ConversationResolved(by="admin", note="fixed")),
        (HELD, "return_to_bot", {"by": "Meera"}, ReturnedToBot(by="Meera")),
    ],
)
async def test_an_action_becomes_its_event(
    call: Caller, desk: MemoryDesk, conversation: str, action: str, body: dict[str, str], event: object
) -> None:
    answer = await call("POST", f"/conversations/{conversation}/{action}", json=body)
    assert (answer.status, answer.body["status"], answer.body["conversation_id"]) == (200, "done", conversation)
    assert desk.done == [event]


async def test_an_action_without_needs_takes_no_body_at_all(call: Caller, desk: MemoryDesk) -> None:
    assert (await call("POST", f"/conversations/{HELD}/return_to_bot")).status == 200
    assert (await call("POST", f"/conversations/{WAITING}/resolve", data=b" ")).status == 200


@pytest.mark.parametrize("action", ["return_to_bot", "resolve"])
async def test_what_the_table_of_modes_refuses_is_a_conflict(call: Caller, action: str) -> None:
    answer = await call("POST", f"/conversations/{DONE}/{action}", json={})
    assert (answer.status, answer.body["error"]["code"]) == (409, "refused")
    assert "closed" in answer.body["error"]["message"]


@pytest.mark.parametrize("action", ["reply", "assign", "escalate", "resolve", "return_to_bot"])
async def test_an_action_on_nothing_is_not_found(call: Caller, action: str) -> None:
    body = {"reply": {"message": "Hi"}, "assign": {"agent": "Meera"}}.get(action, {})
    assert (await call("POST", f"/conversations/{NOWHERE}/{action}", json=body)).status == 404


async def test_what_takes_longer_is_accepted_for_later(call: Caller, desk: MemoryDesk) -> None:
    desk.slow = True
    answer = await call("POST", f"/conversations/{HELD}/reply", json={"message": "Hi"})
    assert (answer.status, answer.body["status"]) == (202, "pending")
    answer = await call("POST", "/messages", json={"phone_number": PRIYA, "message": "Hi"})
    assert (answer.status, answer.body) == (202, {"status": "pending", "message_id": None, "messages": []})
    assert (await call("PATCH", f"/users/{PRIYA}", json={"name": "P"})).status == 202


async def test_the_same_key_has_one_effect(call: Caller, desk: MemoryDesk) -> None:
    headers = {"Idempotency-Key": "reply-1"}
    first = await call("POST", f"/conversations/{HELD}/reply", json={"message": "Hi"}, headers=headers)
    second = await call("POST", f"/conversations/{HELD}/reply", json={"message": "Hi"}, headers=headers)
    assert first.body == second.body
    assert len(desk.done) == 1


async def test_without_a_key_each_request_counts(call: Caller, desk: MemoryDesk) -> None:
    for _ in range(2):
        await call("POST", f"/conversations/{HELD}/reply", json={"message": "Hi"})
    assert len(desk.done) == 2


@pytest.mark.parametrize("key", ["", "é", "x" * 201])
async def test_a_bad_key_is_refused(call: Caller, key: str) -> None:
    answer = await call(
        "POST", f"/conversations/{HELD}/reply", json={"message": "Hi"}, headers={"Idempotency-Key": key}
    )
    assert (answer.status, list(answer.fields)) == (400, ["Idempotency-Key"])


@pytest.mark.parametrize(
    ("action", "body", "field", "fix"),
    [
        ("reply", {}, "message", "either `message` or `template`"),
        ("reply", {"message": "x", "template": {"name": "t"}}, "message", "either"),
        ("reply", {"message": " \n"}, "message", "not blank"),
        ("reply", {"message": "a\0b"}, "message", "NUL"),
        ("reply", {"message": "x" * (LONGEST_MESSAGE + 1)}, "message", str(LONGEST_MESSAGE)),
        ("reply", {"message": 5}, "message", "Expected str"),
        ("reply", {"mesage": "x"}, "mesage", "message, template, agent"),
        ("reply", {"template": {}}, "template.name", "required"),
        ("reply", {"template": {"name": "t", "x": 1}}, "template.x", "no such field"),
        ("reply", {"template": {"name": "t", "language": "English"}}, "template.language", "pt_BR"),
        ("reply", {"template": {"name": "t", "variables": {"a": "b"}}}, "template.variables", "body_1"),
        ("assign", {}, "agent", "required"),
        ("assign", {"agent": ""}, "agent", "length"),
        ("assign", {"agent": "a\n"}, "agent", "one line"),
        ("resolve", [], "body", "object"),
    ],
)
async def test_a_bad_body_is_answered_with_the_field_and_the_fix(
    call: Caller, desk: MemoryDesk, action: str, body: object, field: str, fix: str
) -> None:
    answer = await call("POST", f"/conversations/{HELD}/{action}", json=body)
    assert (answer.status, list(answer.fields)) == (400, [field])
    assert fix in answer.fields[field]
    assert desk.done == []


@pytest.mark.parametrize("body", [b"{", b'{"message":"\xff"}', b'{"message":"\\ud800"}', b"message=x"])
async def test_a_body_that_is_not_json_says_so(call: Caller, body: bytes) -> None:
    answer = await call("POST", f"/conversations/{HELD}/reply", data=body)
    assert answer.status == 400
    assert "must be JSON" in answer.body["error"]["message"]


async def test_a_body_over_the_limit_is_too_large(call: Caller) -> None:
    answer = await call("POST", f"/conversations/{HELD}/reply", data=b"x" * (BODY_LIMIT + 1))
    assert (answer.status, answer.body["error"]["code"]) == (413, "too_large")


# --- customers and messages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [PRIYA, "+91-98765-43210", "%2B91%2098765%2043210"])
async def test_a_customer_is_read_by_any_spelling_of_the_number(call: Caller, spelling: str) -> None:
    body = (await call("GET", f"/users/{spelling}")).body
    assert (body["phone_number"], body["conversation_id"], body["conversations"]) == (PRIYA, NOW, 2)


async def test_a_customer_nobody_knows_is_not_found(call: Caller) -> None:
    assert (await call("GET", "/users/919999999999")).status == 404
    assert (await call("PATCH", "/users/919999999999", json={"name": "X"})).status == 404


@pytest.mark.parametrize("phone", ["123", "priya", "1234567890123456"])
async def test_what_is_no_number_is_refused(call: Caller, phone: str) -> None:
    answer = await call("GET", f"/users/{phone}")
    assert (answer.status, list(answer.fields)) == (400, ["phone"])


async def test_preferences_are_changed_and_answered(call: Caller, desk: MemoryDesk) -> None:
    answer = await call("PATCH", f"/users/{PRIYA}", json={"language": "hi", "opted_out": True, "by": "Anil"})
    assert (answer.body["language"], answer.body["opted_out"], answer.body["name"]) == ("hi", True, "Priya Sharma")
    assert desk.done == [PreferencesChanged(by="Anil", language="hi", opted_out=True)]


async def test_a_change_of_nothing_is_refused(call: Caller) -> None:
    answer = await call("PATCH", f"/users/{PRIYA}", json={"by": "Anil"})
    assert (answer.status, list(answer.fields)) == (400, ["body"])


async def test_a_text_is_sent_to_a_number(call: Caller, desk: MemoryDesk) -> None:
    answer = await call("POST", "/messages", json={"phone_number": "+91 98765 43210", "message": "Hi"})
    assert (answer.status, answer.body["message_id"]) == (201, id_at(60))
    assert desk.done == [Text(text="Hi")]


@pytest.mark.parametrize("variables", [{"body_1": "Priya", "body_2": "42"}, ["Priya", "42"]])
async def test_a_template_is_sent_with_its_variables(call: Caller, desk: MemoryDesk, variables: object) -> None:
    template = {"name": "order_update", "language": "en", "variables": variables}
    assert (await call("POST", "/messages", json={"phone_number": PRIYA, "template": template})).status == 201
    parts = (TemplatePart(key="body_1", value="Priya"), TemplatePart(key="body_2", value="42"))
    assert desk.done == [Template(name="order_update", language="en", parts=parts)]


async def test_who_opted_out_is_not_written_to(call: Caller, desk: MemoryDesk) -> None:
    answer = await call("POST", "/messages", json={"phone_number": JONAS, "message": "Hi"})
    assert (answer.status, answer.body["error"]["message"]) == (409, "The customer opted out.")
    assert desk.done == []


async def test_a_message_to_a_bad_number_names_the_field(call: Caller) -> None:
    answer = await call("POST", "/messages", json={"phone_number": "12", "message": "Hi"})
    assert (answer.status, list(answer.fields)) == (400, ["phone_number"])


async def test_a_message_is_looked_up(call: Caller, records: MemoryRecords) -> None:
    failed = records.scene.messages[2]
    body = (await call("GET", f"/messages/{failed.id}")).body
    assert (body["delivery_status"], body["failure_reason"], body["failure_code"]) == (
        "failed",
        "window closed",
        131047,
    )


# --- operations -----------------------------------------------------------------------------------------------------


async def test_flows_are_listed_and_reloaded(call: Caller, desk: MemoryDesk) -> None:
    listed, reloaded = await call("GET", "/flows"), await call("POST", "/flows/reload")
    assert listed.body == reloaded.body
    assert listed.body["items"][0]["flow_id"] == "support"
    assert desk.reloads == 1


async def test_broken_flows_are_answered_with_their_problems(call: Caller, desk: MemoryDesk) -> None:
    desk.problems = ("flows/a.yaml:3: unknown step type 'sing'",)
    answer = await call("POST", "/flows/reload")
    assert (answer.status, answer.body["error"]["problems"]) == (422, list(desk.problems))


async def test_parked_customers_are_listed_in_pages_and_settled(call: Caller) -> None:
    first = (await call("GET", "/parked?limit=1")).body
    second = (await call("GET", f"/parked?limit=1&cursor={first['next']}")).body
    assert [one["id"] for one in (*first["items"], *second["items"])] == [9, 7]
    assert second["next"] is None
    assert (await call("POST", "/parked/7/retry")).body == {"status": "done", "id": 7}
    assert (await call("POST", "/parked/9/discard")).body == {"status": "done", "id": 9}


@pytest.mark.parametrize("number", ["8", "x", "-1", str(2**63)])
async def test_what_is_not_parked_is_not_found(call: Caller, number: str) -> None:
    assert (await call("POST", f"/parked/{number}/retry")).status == 404
    assert (await call("POST", f"/parked/{number}/discard")).status == 404


async def test_quarantined_bodies_are_listed_in_pages(call: Caller) -> None:
    first = (await call("GET", "/quarantine?limit=2")).body
    assert [one["body"] for one in first["items"]] == ['{"n":3}', '{"n":2}']
    second = (await call("GET", f"/quarantine?limit=2&cursor={first['next']}")).body
    assert [one["id"] for one in second["items"]] == [1]


async def test_a_number_too_large_for_any_list_is_a_bad_cursor(call: Caller) -> None:
    answer = await call("GET", f"/quarantine?cursor={cursor_of(2**63)}")
    assert (answer.status, list(answer.fields)) == (400, ["cursor"])


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-03-01", "2026-03-02"),
        ("2026-03-01T00:00:00Z", "2026-03-02T05:30:00+05:30"),
        ("2026-03-01T00:00:00", "2026-03-02T05:30:00%2B05:30"),
        ("", "2026-03-02"),
    ],
)
async def test_numbers_of_a_period_take_times_in_any_usual_form(call: Caller, since: str, until: str) -> None:
    body = (await call("GET", f"/stats?from={since}&to={until}")).body
    assert body["to"] == "2026-03-02T00:00:00Z"
    assert (body["conversations"]["started"], body["messages"]["inbound"], body["model"]["calls"]) == (5, 2, 2)
    assert body["messages"]["by_status"] == {"received": 2, "read": 1, "failed": 1}


async def test_without_a_period_it_is_the_last_week(call: Caller) -> None:
    body = (await call("GET", "/stats")).body
    assert body["conversations"]["average_satisfaction"] is None
    assert body["from"] < body["to"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=1999-12-31", "from"),
        ("from=2026-03-02&to=2026-03-01", "from"),
        ("from=2024-01-01&to=2026-03-01", "from"),
        ("since=2026-03-01", "since"),
    ],
)
async def test_a_bad_period_is_refused(call: Caller, query: str, field: str) -> None:
    answer = await call("GET", f"/stats?{query}")
    assert (answer.status, list(answer.fields)) == (400, [field])


# --- errors ---------------------------------------------------------------------------------------------------------


class BrokenRecords(MemoryRecords):
    """Raises what a store might."""

    def __init__(self, error: Exception) -> None:
        super().__init__(a_scene())
        self._error = error

    async def user(self, phone: str) -> None:
        raise self._error


async def test_a_store_that_is_away_means_try_again_later(aiohttp_client: StartClient, desk: MemoryDesk) -> None:
    call = Caller(await aiohttp_client(application(BrokenRecords(Unavailable("gone")), desk)))
    answer = await call("GET", f"/users/{PRIYA}")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "gone" not in msgspec.json.encode(answer.body).decode()


async def test_the_unexpected_is_logged_and_not_told(
    aiohttp_client: StartClient, desk: MemoryDesk, caplog: pytest.LogCaptureFixture
) -> None:
    call = Caller(await aiohttp_client(application(BrokenRecords(RuntimeError("secret")), desk)))
    answer = await call("GET", f"/users/{PRIYA}")
    assert (answer.status, answer.body["error"]["code"]) == (500, "internal")
    assert "secret" not in answer.body["error"]["message"]
    assert "secret" in caplog.text
    assert "/api/v1/users/{phone}" in caplog.text
    assert PRIYA not in caplog.text


async def test_a_defect_where_no_route_is_known_is_told_like_any_other(aiohttp_client: StartClient) -> None:
    @web.middleware
    async def broken(request: web.Request, handler: Handler) -> web.StreamResponse:
        raise RuntimeError("secret")

    client = await aiohttp_client(web.Application(middlewares=[api_errors, broken]))
    async with client.get("/api/v1/nope") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (500, "internal")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/v1/nope", 404), ("PUT", "/api/v1/flows", 405)])
async def test_addresses_and_methods_that_are_not_there_answer_json(
    call: Caller, method: str, path: str, status: int
) -> None:
    async with call.client.request(method, path) as response:
        assert (response.status, response.content_type) == (status, "application/json")
        assert list(await response.json()) == ["error"]
        assert response.headers.get("Allow") == ("GET" if status == 405 else None)


async def test_other_answers_of_the_framework_pass_as_they_are(aiohttp_client: StartClient) -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("/api/docs")

    app = web.Application(middlewares=[api_errors])
    app.router.add_get("/api/moved", moved)
    client = await aiohttp_client(app)
    async with client.get("/api/moved", allow_redirects=False) as response:
        assert response.status == 302
    async with client.get("/elsewhere") as response:
        assert (response.status, response.content_type) == (404, "text/plain")


async def test_the_scene_is_of_one_day(records: MemoryRecords) -> None:
    assert {talk.created_at.date() for talk in records.scene.conversations} == {at(0).date()}
