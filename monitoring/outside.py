"""The dashboards of what stands outside: MSG91, which carries messages, and the models, which answer them."""

from monitoring.charts import chart, each, rate, share
from monitoring.drawing import Dashboard

ANSWERED = rate("bot_model_calls_total", only='outcome="answered"')

DELIVERY = Dashboard(
    name="delivery",
    title="Support desk: delivery",
    description="Webhooks from MSG91, messages to it, and what it reports of them.",
    panels=(
        chart(
            "Sends",
            "cps",
            "Attempts to send in a second: accepted, rejected for good, deferred to be tried again, given up.",
            (rate("bot_sends_total", "outcome"), "{{outcome}}"),
        ),
        chart(
            "Sends that failed for good",
            "percentunit",
            "The share of messages that MSG91 rejected or that were given up, over a quarter of an hour.",
            ("bot:sends_failed:ratio15m", "failed"),
        ),
        chart(
            "Time of a send",
            "s",
            "One call of MSG91: half are faster than the first line, nineteen in twenty than the second.",
            (share("bot_send_seconds", 0.5), "half"),
            (share("bot_send_seconds", 0.95), "19 in 20"),
        ),
        chart(
            "Waiting to be sent",
            "short",
            "Outgoing messages held in memory; more may wait in the database.",
            (each("bot_outbox_waiting"), "{{replica}}"),
            stacked=True,
        ),
        chart(
            "Delivery reports",
            "cps",
            "What MSG91 reports of messages it accepted, in a second.",
            (rate("bot_delivery_reports_total", "status"), "{{status}}"),
        ),
        chart(
            "Messages reported as failed",
            "percentunit",
            "The share of failed among delivered and failed, over a quarter of an hour.",
            ("bot:reports_failed:ratio15m", "failed"),
        ),
        chart(
            "Breaker of MSG91",
            "short",
            "0 closed, 1 trying, 2 open: nothing is sent, everything waits.",
            (each("bot_breaker_state", only='name="msg91"'), "{{replica}}"),
        ),
        chart(
            "Uncertain sends",
            "cps",
            "Messages in a second that were sent again although the first try may have arrived.",
            (rate("bot_uncertain_sends_total", "replica"), "{{replica}}"),
        ),
        chart(
            "Time to reply to a person",
            "s",
            "From the webhook to MSG91's acceptance of the reply: half are faster, by who wrote it.",
            (share("bot_reply_seconds", 0.5, "kind"), "{{kind}}"),
        ),
        chart(
            "Time of a webhook",
            "s",
            "From its arrival to our answer: half are faster than the first line, 99 in 100 than the second.",
            (share("bot_webhook_seconds", 0.5), "half"),
            (share("bot_webhook_seconds", 0.99), "99 in 100"),
        ),
        chart(
            "Webhooks refused",
            "cps",
            "In a second, by reason.",
            (rate("bot_webhook_refused_total", "reason"), "{{reason}}"),
        ),
        chart(
            "Webhook bodies quarantined",
            "cps",
            "Bodies in a second that could not be used and wait for an operator.",
            (rate("bot_quarantined_total"), "quarantined"),
        ),
        chart(
            "Outgoing webhooks",
            "cps",
            "Attempts in a second to tell your own systems: taken, to be tried again, given up, cancelled.",
            (rate("bot_webhook_deliveries_total", "outcome"), "{{outcome}}"),
        ),
        chart(
            "Outgoing webhooks that wait",
            "short",
            "Events that your own systems have not taken yet, of endpoints that are not switched off.",
            ("max(bot_webhook_backlog)", "waiting"),
        ),
        chart(
            "Oldest outgoing webhook",
            "s",
            "How long the oldest of them has waited.",
            ("max(bot_webhook_oldest_seconds)", "oldest"),
        ),
    ),
)

MODEL = Dashboard(
    name="model",
    title="Support desk: models",
    description="Questions put to models: what they answer, how long it takes, what it costs.",
    panels=(
        chart(
            "Questions",
            "cps",
            "Questions to the chain of models in a second: answered, or why not.",
            (rate("bot_model_calls_total", "outcome"), "{{outcome}}"),
        ),
        chart(
            "Questions without an answer",
            "percentunit",
            "The share that failed over a quarter of an hour; caps and a stopped account are not among them.",
            ("bot:model_failed:ratio15m", "failed"),
        ),
        chart(
            "Time of a question",
            "s",
            "Over the whole chain: half are faster than the first line, nineteen in twenty than the second.",
            (share("bot_model_seconds", 0.5), "half"),
            (share("bot_model_seconds", 0.95), "19 in 20"),
        ),
        chart(
            "Waiting for a worker",
            "short",
            "Questions that wait because all workers are busy (MODEL_WORKERS).",
            (each("bot_model_waiting"), "{{replica}}"),
            stacked=True,
        ),
        chart(
            "Spent today",
            "currencyUSD",
            "US dollars since midnight UTC, over all replicas, and what they may be (MODEL_DAY_CAP).",
            ("max(bot_model_spent_today_usd)", "spent"),
            ("max(bot_model_day_cap_usd)", "cap"),
        ),
        chart(
            "Cost of an hour",
            "currencyUSD",
            "US dollars that an hour like the last moments costs.",
            (f"{rate('bot_model_cost_usd_total')} * 3600", "an hour"),
        ),
        chart(
            "Tokens",
            "cps",
            "Tokens in a second: of our questions, and of the answers.",
            (rate("bot_model_tokens_total", "direction"), "{{direction}}"),
            stacked=True,
        ),
        chart(
            "Cost of an answer",
            "currencyUSD",
            "US dollars for each question that was answered.",
            (f"{rate('bot_model_cost_usd_total')} / {ANSWERED}", "an answer"),
        ),
        chart(
            "Breakers of models",
            "short",
            "0 closed, 1 trying, 2 open: the next model of the chain is asked instead.",
            (each("bot_breaker_state", "replica, name", 'name!~"msg91|database"'), "{{replica}}: {{name}}"),
        ),
    ),
)
