"""Every metric, with the labels bound once: a look-up per message costs more than the count itself."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

events_total = Counter("bot_events_total", "Webhook events by what became of them.", ["outcome"])
accepted_total = events_total.labels("accepted")
duplicates_total = Counter("bot_duplicates_total", "Events that had been seen before and had no second effect.")
quarantined_total = Counter(
    "bot_quarantined_total", "Webhook bodies stored for operators because they could not be used."
)
ignored_total = Counter("bot_ignored_total", "Webhook events that need nothing done.", ["reason"])
refused_total = Counter("bot_webhook_refused_total", "Webhooks not taken.", ["reason"])
webhook_seconds = Histogram("bot_webhook_seconds", "Webhook received to answered.", buckets=SECONDS)
steps_total = Counter("bot_steps_total", "Events applied to conversations.")
step_failures_total = Counter("bot_step_failures_total", "Steps that raised.")
stale_total = Counter("bot_stale_commits_total", "Commits refused by the version guard.")
commits_total = Counter("bot_commits_total", "Grouped commits.")
committed_total = Counter("bot_committed_conversations_total", "Conversation writes in grouped commits.")
flow_troubles_total = Counter(
    "bot_flow_troubles_total", "Flows stopped over their step budget, conditions that could not be evaluated.", ["what"]
)
escalations_total = Counter("bot_escalations_total", "Conversations put in the queue.")

journal_backlog = Gauge("bot_journal_backlog", "Accepted events that no commit has consumed.")
journal_oldest_seconds = Gauge("bot_journal_oldest_seconds", "Age of the oldest of them.")
unanswered_customers = Gauge(
    "bot_unanswered_customers",
    "Customers whose last message had neither a reply, a hand-over nor a decision not to reply in time.",
)
parked_conversations = Gauge("bot_parked_conversations", "Conversations whose event could not be applied.")
live_conversations = Gauge("bot_live_conversations", "Conversations held in memory.")
mailbox_letters = Gauge("bot_mailbox_letters", "Events waiting in mailboxes.")
spool_waiting = Gauge("bot_spool_waiting", "Accepted webhook events in the spool, over all replicas.")
spooled_total = Counter("bot_spooled_total", "Webhook events accepted into the spool.")
spool_drained_total = Counter("bot_spool_drained_total", "Webhook events worked off from the spool.")
timers_late_seconds = Gauge(
    "bot_timers_late_seconds", "Since when the longest due timer should have fired, parked customers aside."
)
outbox_waiting = Gauge("bot_outbox_waiting", "Outgoing messages held in memory.")
model_waiting = Gauge("bot_model_waiting", "Questions waiting for a worker.")

sends_total = Counter("bot_sends_total", "Attempts to send by outcome.", ["outcome"])
sent_total = sends_total.labels("accepted")
rejected_total = sends_total.labels("rejected")
deferred_total = sends_total.labels("deferred")
given_up_total = sends_total.labels("given_up")
uncertain_sends_total = Counter(
    "bot_uncertain_sends_total", "Messages sent again although the first try may have arrived."
)
send_seconds = Histogram("bot_send_seconds", "One call of the provider.", buckets=SECONDS)
reply_seconds = Histogram("bot_reply_seconds", "Webhook accepted to provider accepted.", ["kind"], buckets=SECONDS)
bulk_seconds = Histogram(
    "bot_bulk_seconds", "Bulk message asked for to provider accepted.", buckets=(*SECONDS, 300, 1800)
)
reply_seconds_by_kind = {
    **{kind: reply_seconds.labels(kind) for kind in ("flow", "model", "agent", "system")},
    "bulk": bulk_seconds,  # nobody waits for these, and they give way
}
reports_total = Counter("bot_delivery_reports_total", "Delivery reports by status.", ["status"])

model_calls_total = Counter("bot_model_calls_total", "Questions to the chain of models by outcome.", ["outcome"])
model_seconds = Histogram("bot_model_seconds", "One question, over the whole chain.", buckets=SECONDS)
model_cost_usd_total = Counter("bot_model_cost_usd_total", "What models cost, US dollars.")
model_tokens_total = Counter("bot_model_tokens_total", "Tokens by direction.", ["direction"])
model_spent_today_usd = Gauge("bot_model_spent_today_usd", "What models cost since midnight UTC.")
model_day_cap_usd = Gauge("bot_model_day_cap_usd", "What models may cost in a day, US dollars.")

webhook_deliveries_total = Counter(
    "bot_webhook_deliveries_total", "Attempts of outgoing webhooks by what became of them.", ["outcome"]
)
webhook_backlog = Gauge("bot_webhook_backlog", "Outgoing webhooks that wait for active endpoints.")
webhook_oldest_seconds = Gauge("bot_webhook_oldest_seconds", "Age of the oldest of them.")

breaker_state = Gauge("bot_breaker_state", "0 closed, 1 half open, 2 open.", ["name"])
hints_total = Counter("bot_hints_total", "Hints from other replicas by what they say; hints not sent.", ["what"])
store_errors_total = Counter("bot_store_errors_total", "Store calls that failed.", ["store"])
spool_unconfirmed_total = Counter(
    "bot_spool_unconfirmed_total", "Spooled webhooks that no replica of Redis has confirmed in time."
)
sweep_failures_total = Counter("bot_sweep_failures_total", "Parts of the sweep that failed.", ["part"])
swept_total = Counter("bot_swept_total", "Things the sweep found waiting.", ["what"])
sealed_bad_total = Counter("bot_sealed_unreadable_total", "Sealed values that no key opens.", ["what"])
newer_total = Counter("bot_newer_release_total", "Values of a newer release, left to its replicas.", ["what"])
build_info = Gauge("bot_build_info", "1; the labels say what runs.", ["version", "python"])
deploy_unfinished = Gauge(
    "bot_deploy_unfinished", "1 while a migration of this release is pending, or one of a newer release is applied."
)
loop_lag_seconds = Histogram(
    "bot_loop_lag_seconds", "How late the event loop is, looked at in each round of the sweep.", buckets=SECONDS
)

connections = Gauge("bot_connections", "Connections that are open.")
connections_closed_total = Counter(
    "bot_connections_closed_total", "Connections closed because of how they behaved.", ["reason"]
)
api_refused_total = Counter("bot_api_refused_total", "API calls turned away before anything was done.", ["reason"])

erasures_total = Counter("bot_erasures_total", "Customers erased on demand.")

retention_deleted_total = Counter("bot_retention_deleted_total", "Rows removed because they were old.", ["kind"])
retention_failures_total = Counter("bot_retention_failures_total", "Removals of old rows that failed.", ["kind"])
retention_last_success_timestamp = Gauge(
    "bot_retention_last_success_timestamp", "When this replica last removed all that was old, unix seconds; 0: never."
)

spans_total = Counter("bot_spans_total", "Spans of traces by what became of them.", ["outcome"])
spans_ended_total = spans_total.labels("ended")

FROM_ZERO: dict[Counter, tuple[str, ...]] = {
    refused_total: ("unauthorized", "bad_request", "timeout", "overloaded", "unavailable", "stopping", "failed"),
    connections_closed_total: ("slow", "unread", "idle", "crowded"),
    api_refused_total: ("unauthorized", "forbidden", "rate_limited"),
    flow_troubles_total: ("over_budget", "condition_fault"),
    reports_total: ("sent", "delivered", "read", "failed"),
    model_calls_total: ("answered", "unavailable", "account", "budget", "refused", "invalid", "timeout"),
    model_tokens_total: ("prompt", "completion"),
    hints_total: ("wake", "applied", "departed", "unknown", "unsent"),
    webhook_deliveries_total: ("delivered", "retry", "failed", "cancelled"),
    store_errors_total: ("webhooks", "journal", "commit", "notes", "reports", "redis", "hints", "spool"),
    sweep_failures_total: ("heartbeat", "outbox", "timers", "journal", "reports", "effects", "retire", "watch"),
    swept_total: ("timer", "event", "message", "effect"),
    retention_failures_total: (
        *("journal", "messages", "conversations", "reports", "model_calls", "audit", "quarantine", "effects"),
        *("flow_versions", "idempotency", "webhook_deliveries", "replicas"),
    ),
    sealed_bad_total: ("state", "journal", "message", "effect", "data_key", "record", "idempotency"),
    newer_total: ("journal", "state", "timer", "spool"),
    spans_total: ("ended", "exported", "failed"),
}
"""Known before they count: what appears with its first count looks to Prometheus as if it had never risen."""
for _counter, _values in FROM_ZERO.items():
    for _value in _values:
        _counter.labels(_value)
