"""Notification blocks and webhooks, against a real HTTP server: method, path, headers and body are what the services document."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, ClassVar
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import ValidationError

from headrace.blocks.abstract import NotificationBlock, NotificationError
from headrace.blocks.core import Block
from headrace.blocks.notifications import (
    AppriseNotificationBlock,
    CustomWebhookNotificationBlock,
    DiscordWebhook,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    OpsgenieWebhook,
    PagerDutyWebHook,
    SendgridEmail,
    SlackWebhook,
    TwilioSMS,
)
from headrace.blocks.webhook import Webhook
from headrace.objects.urls import is_public, restricted_transport, validate_restricted_url

HUSH = "hush-5e1c"


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """An HTTP server that keeps what it gets; it answers `status`, and redirects to `location` if that is set."""

    url: str = ""
    status: int = 200
    answer: str = "ok"
    location: str | None = None
    received: list[Received] = field(default_factory=list)

    @property
    def only(self) -> Received:
        [one] = self.received
        return one


@pytest.fixture
def service() -> Iterator[Service]:
    state = Service()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.received.append(Received(self.command, self.path, headers, body))
            self.send_response(state.status)
            if state.location:
                self.send_header("location", state.location)
            self.send_header("content-length", str(len(state.answer)))
            self.end_headers()
            self.wfile.write(state.answer.encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


Notify = Callable[..., None]


@pytest.fixture(params=["blocking", "async"])
def notify(request: pytest.FixtureRequest) -> Notify:
    """Send a notification, in the way of the mode; a failure raises."""

    def blocking(block: NotificationBlock, *args: Any) -> None:
        with block.raise_on_failure():
            block.notify(*args)

    def in_loop(block: NotificationBlock, *args: Any) -> None:
        async def main() -> None:
            with block.raise_on_failure():
                await block.notify(*args)

        asyncio.run(main())

    return blocking if request.param == "blocking" else in_loop


# --- services ---------------------------------------------------------------------------------------------------------


def test_slack(service: Service, notify: Notify) -> None:
    notify(SlackWebhook(url=f"{service.url}/services/T/B/{HUSH}"), "Hello", "Subject")
    assert (service.only.method, service.only.path) == ("POST", f"/services/T/B/{HUSH}")
    assert service.only.headers["content-type"] == "application/json"
    assert service.only.json == {"text": "*Subject*\nHello"}


def test_teams(service: Service, notify: Notify) -> None:
    notify(MicrosoftTeamsWebhook(url=f"{service.url}/workflows/1", wrap=False), "Hello", "Subject")
    [attachment] = service.only.json["attachments"]
    assert service.only.json["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    heading, text = attachment["content"]["body"]
    assert (heading["text"], heading["style"]) == ("Subject", "heading")
    assert text == {"type": "TextBlock", "text": "Hello", "wrap": False}


def test_mattermost_posts_once_for_each_channel(service: Service, notify: Notify) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    block = MattermostWebhook(hostname=host, port=int(port), token=HUSH, path="/sub/", botname="bot", channels=["#one", "two"])
    notify(block, "Hello", "Subject")
    assert [one.path for one in service.received] == [f"/sub/hooks/{HUSH}"] * 2
    text = {"text": "#### Subject\nHello", "username": "bot"}
    assert [one.json for one in service.received] == [{**text, "channel": "one"}, {**text, "channel": "two"}]


def test_discord(service: Service, notify: Notify) -> None:
    class Local(DiscordWebhook):
        _service_url: ClassVar[str] = service.url

    notify(Local(webhook_id="12", webhook_token=HUSH, botname="bot", tts=True), "Hello")
    assert service.only.path == f"/api/webhooks/12/{HUSH}?wait=true"
    assert service.only.json == {"content": "Hello", "username": "bot", "tts": True}
    notify(Local(webhook_id="12", webhook_token=HUSH, notify_type="failure", avatar=True, avatar_url="http://a"), "Hello", "Subject")
    embed = {"title": "Subject", "description": "Hello", "color": 0xA32037}
    assert service.received[1].json == {"embeds": [embed], "tts": False, "avatar_url": "http://a"}


def test_pager_duty_keeps_the_body_apart_from_the_summary(service: Service, notify: Notify) -> None:
    class Local(PagerDutyWebHook):
        _service_urls: ClassVar[dict[str, str]] = {"us": "http://127.0.0.1:1", "eu": service.url}

    block = Local(
        integration_key=HUSH, api_key="k", region_name="eu", notify_type="failure", group="g", class_id="c",
        custom_details={"a": "b"}, clickable_url="http://run",
    )  # fmt: skip
    notify(block, "Hello", "Subject")
    assert service.only.path == "/v2/enqueue"
    assert service.only.json == {
        "routing_key": HUSH,
        "event_action": "trigger",
        "payload": {
            "summary": "Subject",
            "severity": "critical",
            "source": "Headrace",
            "component": "Notification",
            "group": "g",
            "class": "c",
            "custom_details": {"a": "b", "Headrace Notification Body": "Hello"},
        },
        "links": [{"href": "http://run"}],
    }


def test_opsgenie_alerts_each_target_or_all_at_once(service: Service, notify: Notify) -> None:
    class Local(OpsgenieWebhook):
        _service_urls: ClassVar[dict[str, str]] = {"us": service.url, "eu": "http://127.0.0.1:1"}

    values: dict[str, Any] = {"apikey": HUSH, "target_user": ["ann"], "target_team": ["ops"], "priority": 1, "tags": ["t"], "alias": "al"}
    notify(Local(**values), "Hello\nthere", "Subject")
    notify(Local(**values, batch=True), "Hello\nthere")
    first, second, both = service.received
    assert (first.path, first.headers["authorization"]) == ("/v2/alerts", f"GenieKey {HUSH}")
    ann, ops = {"type": "user", "username": "ann"}, {"type": "team", "name": "ops"}
    alert = {"message": "Subject", "description": "Hello\nthere", "priority": "P1", "source": "Headrace", "tags": ["t"], "alias": "al"}
    assert [first.json, second.json] == [{**alert, "responders": [ann]}, {**alert, "responders": [ops]}]
    assert both.json == {**alert, "message": "Hello", "responders": [ann, ops]}


def test_twilio_sends_a_form_to_each_number(service: Service, notify: Notify) -> None:
    class Local(TwilioSMS):
        _service_url: ClassVar[str] = service.url

    notify(Local(account_sid="AC1", auth_token=HUSH, from_phone_number="1800 123", to_phone_numbers=["+1 555 1", "5552"]), "Hello", "Subject")
    for number, received in zip(("+15551", "+5552"), service.received, strict=True):
        assert received.path == "/2010-04-01/Accounts/AC1/Messages.json"
        assert received.headers["authorization"] == "Basic " + base64.b64encode(f"AC1:{HUSH}".encode()).decode()
        assert received.headers["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qs(received.body.decode()) == {"From": ["+1800123"], "To": [number], "Body": ["Subject\nHello"]}


def test_sendgrid(service: Service, notify: Notify) -> None:
    class Local(SendgridEmail):
        _service_url: ClassVar[str] = service.url

    notify(Local(api_key=HUSH, sender_email="me@example.com", to_emails=["a@example.com", "b@example.com"]), "Hello", "Subject")
    assert (service.only.path, service.only.headers["authorization"]) == ("/v3/mail/send", f"Bearer {HUSH}")
    assert service.only.json == {
        "personalizations": [{"to": [{"email": "a@example.com"}]}, {"to": [{"email": "b@example.com"}]}],
        "from": {"email": "me@example.com"},
        "subject": "Subject",
        "content": [{"type": "text/plain", "value": "Hello"}],
    }


def test_any_address_takes_json(service: Service, notify: Notify) -> None:
    notify(AppriseNotificationBlock(url=service.url.replace("http", "json") + "/x", notify_type="warning"), "Hello", "Subject")
    assert service.only.path == "/x"
    assert service.only.json == {"version": "1.0", "title": "Subject", "message": "Hello", "attachments": [], "type": "warning"}
    with pytest.raises(ValueError, match="'mailto' is not one"):
        AppriseNotificationBlock(url="mailto://x").notify("Hello")


# --- custom -------------------------------------------------------------------------------------------------------------


def test_a_custom_webhook_fills_in_every_part(service: Service, notify: Notify) -> None:
    block = CustomWebhookNotificationBlock(
        name="my-hook",
        url=service.url + "/{{ name }}",
        method="PUT",
        params={"about": "{{subject}}"},
        json_data={"text": "{{ body }}!", "list": ["{{token}}", 1], "{{name}}": None},
        headers={"X-Token": "{{token}}"},
        cookies={"session": "{{ token }}"},
        secrets={"token": HUSH},
    )
    assert HUSH not in repr(block)
    notify(block, 'He said "hello"', "A b")
    assert (service.only.method, service.only.path) == ("PUT", "/my-hook?about=A+b")
    assert (service.only.headers["x-token"], service.only.headers["cookie"]) == (HUSH, f"session={HUSH}")
    assert service.only.json == {"text": 'He said "hello"!', "list": [HUSH, 1], "my-hook": None}


def test_a_custom_webhook_sends_a_form(service: Service) -> None:
    CustomWebhookNotificationBlock(name="n", url=service.url, form_data={"text": "{{subject}}: {{body}}"}).notify("Hello")
    assert parse_qs(service.only.body.decode()) == {"text": ["Headrace Notification: Hello"]}


def test_a_custom_webhook_refuses_what_cannot_be() -> None:
    with pytest.raises(ValidationError, match="both `Form Data` and `JSON Data` provided"):
        CustomWebhookNotificationBlock(name="n", url="http://x", json_data={}, form_data={})
    with pytest.raises(KeyError, match="uses {{tokn}}, but there are only body, name, subject, token"):
        CustomWebhookNotificationBlock(name="n", url="http://x/{{tokn}}", secrets={"token": "x"}).notify("Hello")


# --- failures -------------------------------------------------------------------------------------------------------------


def test_a_failure_is_logged_and_raised_only_when_asked_for(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.status, service.answer = 500, "no such hook"
    block, other = SlackWebhook(url=f"{service.url}/{HUSH}"), SlackWebhook(url=f"{service.url}/{HUSH}")
    with caplog.at_level(logging.ERROR):
        block.notify("Hello")
    [record] = caplog.records
    assert "SlackWebhook to http://127.0.0.1 failed: the answer was 500 Internal Server Error. no such hook" in record.getMessage()
    assert HUSH not in record.getMessage()
    with block.raise_on_failure():
        other.notify("Hello")
        with pytest.raises(NotificationError, match="500") as raised:
            block.notify("Hello")
    assert HUSH not in raised.value.log
    block.notify("Hello")


def test_an_address_that_does_not_answer_is_a_failure() -> None:
    block = SlackWebhook(url=f"http://127.0.0.1:1/{HUSH}")
    with block.raise_on_failure(), pytest.raises(NotificationError, match="ConnectError") as raised:
        block.notify("Hello")
    assert HUSH not in raised.value.log


def test_saved_notification_blocks_come_back(service: Service) -> None:
    SlackWebhook(url=f"{service.url}/{HUSH}").save("alerts")
    found = Block.load("slack-webhook/alerts")
    assert isinstance(found, SlackWebhook)
    assert found.get_block_capabilities() == {"notify"}
    found.notify("Hello")
    assert service.only.path == f"/{HUSH}"


def test_the_credentials_of_each_block_are_secret() -> None:
    fields = {
        one: one.model_json_schema()["secret_fields"]
        for one in (SlackWebhook, MattermostWebhook, DiscordWebhook, PagerDutyWebHook, OpsgenieWebhook, TwilioSMS, SendgridEmail, Webhook)
    }
    assert list(fields.values()) == [
        ["url"], ["token"], ["webhook_id", "webhook_token"], ["integration_key", "api_key"], ["apikey"], ["auth_token"], ["api_key"],
        ["url", "headers.*"],
    ]  # fmt: skip


# --- webhook ----------------------------------------------------------------------------------------------------------------


def test_a_webhook_sends_json_text_or_nothing(service: Service) -> None:
    block = Webhook(url=f"{service.url}/hook", headers={"X-Token": HUSH}, method="PATCH")
    assert HUSH not in repr(block)
    assert block.call({"a": 1}).text == "ok"
    block.call("plain")
    block.call()
    assert [one.method for one in service.received] == ["PATCH"] * 3
    assert [one.body for one in service.received] == [b'{"a":1}', b"plain", b""]
    assert service.received[0].headers["content-type"] == "application/json"
    assert service.received[0].headers["x-token"] == HUSH

    async def main() -> httpx.Response:
        return await block.call({"a": 2})

    assert asyncio.run(main()).status_code == 200
    assert service.received[-1].json == {"a": 2}


def test_a_webhook_answers_whatever_the_status(service: Service) -> None:
    service.status = 404
    assert Webhook(url=service.url).call().status_code == 404


# --- addresses --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_private_addresses_are_refused_when_not_allowed(host: str) -> None:
    url = f"http://{host}:9/x"
    for act in (
        lambda: Webhook(url=url, allow_private_urls=False).call({}),
        lambda: SlackWebhook(url=url, allow_private_urls=False).notify("Hello"),
        lambda: validate_restricted_url(url),
    ):
        with pytest.raises(ValueError, match=r"not a public address|cannot be resolved"):
            act()


@pytest.mark.parametrize("url", ["ftp://example.com", "file:///etc/passwd", "http://", "example.com"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must begin with http|names no host"):
        validate_restricted_url(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("64:ff9b::a9fe:a9fe", False),  # 169.254.169.254 behind NAT64
        ("64:ff9b::5db8:d70e", True),
        ("2002:7f00:1::", False),  # 127.0.0.1 behind 6to4
    ],
)
def test_public_addresses_are_told_from_others(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[Any]:
        asked.append(f"{host}:{port}")
        return [ip_address(answer) for answer in next(answers)]

    sent: list[httpx.Request] = []

    def outside(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=restricted_transport(resolver=resolver, inner=httpx.MockTransport(outside))) as client:
        client.get("https://hooks.example.com/x")
        with pytest.raises(ValueError, match="resolves to 127.0.0.1"):
            client.get("https://hooks.example.com/x")
    [request] = sent
    assert (str(request.url), request.headers["host"]) == ("https://93.184.215.14/x", "hooks.example.com")
    assert request.extensions["sni_hostname"] == "hooks.example.com"
    assert asked == ["hooks.example.com:443"] * 2


def test_one_private_address_among_several_refuses_the_host() -> None:
    def resolver(host: str, port: int) -> list[Any]:
        return [ip_address("93.184.215.14"), ip_address("10.0.0.1")]

    transport = restricted_transport(resolver=resolver, inner=httpx.MockTransport(lambda request: httpx.Response(200)))
    with httpx.Client(transport=transport) as client, pytest.raises(ValueError, match=r"10\.0\.0\.1"):
        client.get("http://mixed.example.com")
