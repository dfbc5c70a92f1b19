"""Every setting of the sandbox, with its meaning, unit and default."""

from typing import Literal

from bot.core.messages import Value

WebhookShape = Literal["v5", "simple"]


class SandboxSettings(Value, frozen=True, kw_only=True):
    """How strict the sandbox is, whom it calls, and how much it keeps."""

    host: str = "127.0.0.1"
    port: int = 9100
    """0 lets the system choose."""
    webhook_url: str = ""
    """Where customers' messages and delivery reports are posted; empty: nowhere."""
    webhook_secret: str = ""
    """Sent as `X-Webhook-Secret`; empty: not sent."""
    webhook_shape: WebhookShape = "v5"
    """`v5`: string values with JSON inside, as MSG91's dashboard makes them; `simple`: the plain shape."""
    webhook_attempts: int = 5
    """Posts of one body while the service refuses the connection, times out or answers 5xx."""
    webhook_backoff: float = 0.5
    """Seconds before the second attempt; doubles each time."""
    webhook_timeout: float = 8.0
    """Seconds the service has to answer a webhook."""
    webhook_copies: int = 1
    """How often each customer message is posted; 2 plays a provider that repeats itself."""
    auth_key: str = ""
    """The `authkey` that is accepted; empty: any that is not empty."""
    model_key: str = ""
    """The bearer key of the model's API that is accepted; empty: any that is not empty."""
    integrated_numbers: tuple[str, ...] = ("919000000001",)
    """Our own WhatsApp numbers; another sender is refused as not integrated."""
    models: tuple[str, ...] = ()
    """The models that exist; empty: every name of the form `author/slug`."""
    refusal_status: int = 400
    """HTTP status of a refused send. MSG91 has also been seen to refuse with 200 and `hasError`: set 200 for that."""
    session_window: bool = False
    """Refuse free-form messages to who has not written through this sandbox for 24 hours."""
    reports: bool = True
    """Whether delivery reports are sent at all."""
    report_gap: float = 0.1
    """Seconds from acceptance to `sent`, from `sent` to `delivered`, from `delivered` to `read`."""
    report_batch: int = 1
    """Reports in one post; above 1 they go as a JSON array."""
    report_workers: int = 4
    """Posts of reports under way at once; the reports of one customer stay in order."""
    auto_read: bool = False
    """Report every message as read, without a phone page being open."""
    kept: int = 100_000
    """Messages of each direction and model calls that are remembered; the oldest go first."""
    heartbeat: float = 5.0
    """Seconds between two looks at the service for an open phone page."""
