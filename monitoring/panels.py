"""The dashboards of the service itself. Numbers that every replica reads from the store are the same everywhere: of
those the maximum is shown, and the choice of replicas does not matter. Everything else is of the replicas chosen.
"""

from monitoring.charts import CHOSEN, chart, each, light, rate, share
from monitoring.drawing import Dashboard, Panel, Query
from monitoring.outside import DELIVERY, MODEL

OVERVIEW = Dashboard(
    name="overview",
    title="Support desk: overview",
    description="Is anybody waiting, and is anything wrong. The first row should be green.",
    panels=(
        light(
            "Replicas missing",
            "How many of the replicas that there should be (rules/recorded.yml) do not answer.",
            "clamp_min(bot:replicas:expected - bot:replicas:up, 0)",
            warn=1,
            bad=2,
        ),
        light(
            "Unanswered customers",
            "Customers whose last message has had nothing for longer than UNANSWERED_AFTER. Should be 0.",
            "max(bot_unanswered_customers)",
            warn=1,
            bad=5,
        ),
        light(
            "Oldest event",
            "How long the oldest accepted event has waited to be applied.",
            "max(bot_journal_oldest_seconds)",
            "s",
            warn=5,
            bad=15,
        ),
        light(
            "Parked",
            "Conversations whose next event cannot be applied. Each waits for an operator.",
            "max(bot_parked_conversations)",
            warn=1,
            bad=10,
        ),
        light(
            "In the spool",
            "Accepted webhook events that wait in Redis for PostgreSQL. 0 unless it is away.",
            "max(bot_spool_waiting)",
            warn=1,
            bad=1000,
        ),
        light(
            "Alerts firing",
            "Which ones is told below.",
            'count(ALERTS{alertstate="firing"}) or vector(0)',
            warn=1,
            bad=3,
        ),
        chart(
            "Webhooks",
            "reqps",
            "Webhooks answered in a second, refused ones included.",
            (rate("bot_webhook_seconds_count", "replica"), "{{replica}}"),
            stacked=True,
        ),
        chart(
            "Replies",
            "cps",
            "Replies that MSG91 accepted in a second, by who wrote them.",
            (rate("bot_reply_seconds_count", "kind"), "{{kind}}"),
            stacked=True,
        ),
        chart(
            "Time to reply",
            "s",
            "From the webhook to MSG91's acceptance of the reply: nineteen in twenty are faster.",
            (share("bot_reply_seconds", 0.95, "kind"), "{{kind}}"),
        ),
        chart(
            "Handed to people",
            "cps",
            "Conversations put in the queue in a second.",
            (rate("bot_escalations_total"), "put in the queue"),
        ),
        chart(
            "Failures",
            "cps",
            "What should not happen, in a second; the other dashboards tell more.",
            (rate("bot_webhook_refused_total"), "webhooks refused"),
            (rate("bot_sends_total", only='outcome=~"rejected|given_up"'), "sends failed"),
            (rate("bot_model_calls_total", only='outcome!="answered"'), "questions without an answer"),
            (rate("bot_store_errors_total"), "store calls failed"),
        ),
        chart(
            "Spent on models today",
            "currencyUSD",
            "US dollars since midnight UTC, over all replicas, and what they may be (MODEL_DAY_CAP).",
            ("max(bot_model_spent_today_usd)", "spent"),
            ("max(bot_model_day_cap_usd)", "cap"),
        ),
        Panel(
            title="Alerts",
            description="Alerts that fire now. Each has its heading in docs/operations.md.",
            unit="short",
            queries=(Query('ALERTS{alertstate="firing"}', "{{alertname}}"),),
            kind="table",
            width=24,
        ),
    ),
)

CONVERSATIONS = Dashboard(
    name="conversations",
    title="Support desk: conversations",
    description="From an accepted event to a committed step: what waits, what is slow, what went wrong.",
    panels=(
        chart(
            "Events",
            "cps",
            "Events in a second: accepted, applied to conversations, and seen before.",
            (rate("bot_events_total", only='outcome="accepted"'), "accepted"),
            (rate("bot_steps_total"), "applied"),
            (rate("bot_duplicates_total"), "seen before"),
        ),
        chart(
            "Waiting in the journal",
            "short",
            "Accepted events that no commit has consumed; the same at every replica.",
            ("max(bot_journal_backlog)", "events"),
        ),
        chart(
            "Longest waits",
            "s",
            "The oldest accepted event, and the longest due timer; the same at every replica.",
            ("max(bot_journal_oldest_seconds)", "event"),
            ("max(bot_timers_late_seconds)", "timer"),
        ),
        chart(
            "Live conversations",
            "short",
            "Conversations held in memory.",
            (each("bot_live_conversations"), "{{replica}}"),
            stacked=True,
        ),
        chart(
            "Mailboxes",
            "short",
            "Events waiting in the mailboxes of conversations.",
            (each("bot_mailbox_letters"), "{{replica}}"),
            stacked=True,
        ),
        chart(
            "Conversations in a commit",
            "short",
            "How many conversations share one transaction: the more there is to do, the more.",
            (
                f"{rate('bot_committed_conversations_total')} / {rate('bot_commits_total')}",
                "conversations in a commit",
            ),
        ),
        chart(
            "Waiting customers",
            "short",
            "Customers without an answer for too long, and parked ones; the same at every replica.",
            ("max(bot_unanswered_customers)", "unanswered"),
            ("max(bot_parked_conversations)", "parked"),
        ),
        chart(
            "Stale commits",
            "percentunit",
            "The share of writes that came too late because another replica was first.",
            ("bot:stale_commits:ratio10m", "stale"),
        ),
        chart(
            "Found by the sweep",
            "cps",
            "What somebody had forgotten, in a second. A few timers are normal, many events are not.",
            (rate("bot_swept_total", "what"), "{{what}}"),
        ),
        chart(
            "Handed to people",
            "cps",
            "Conversations put in the queue in a second.",
            (rate("bot_escalations_total", "replica"), "{{replica}}"),
            stacked=True,
        ),
        chart(
            "Troubles of flows",
            "cps",
            "Flows stopped over their budget of steps, and conditions that could not be evaluated, in a second.",
            (rate("bot_flow_troubles_total", "what"), "{{what}}"),
        ),
        chart(
            "Steps that raised",
            "cps",
            "Each is a defect; the log has the traceback.",
            (rate("bot_step_failures_total", "replica"), "{{replica}}"),
        ),
    ),
)

REPLICAS = Dashboard(
    name="replicas",
    title="Support desk: replicas",
    description="The processes, and the two stores that they share.",
    panels=(
        chart(
            "Answering",
            "bool_yes_no",
            "Whether each replica can be scraped.",
            (f'up{{job="bot", {CHOSEN}}}', "{{replica}}"),
        ),
        chart(
            "Processor",
            "percentunit",
            "Share of one core that each process uses. It cannot use more than one.",
            (f'rate(process_cpu_seconds_total{{job="bot", {CHOSEN}}}[$__rate_interval])', "{{replica}}"),
        ),
        chart(
            "Memory",
            "bytes",
            "Memory that each process holds.",
            (f'process_resident_memory_bytes{{job="bot", {CHOSEN}}}', "{{replica}}"),
        ),
        chart(
            "Event loop late by",
            "s",
            "How late the event loop is: nine looks in ten find it less late. From 0.1 s on customers wait.",
            (share("bot_loop_lag_seconds", 0.9, "replica"), "{{replica}}"),
        ),
        chart(
            "Open files",
            "short",
            "Files and connections that each process has open.",
            (f'process_open_fds{{job="bot", {CHOSEN}}}', "{{replica}}"),
        ),
        chart(
            "Running for",
            "s",
            "Time since each process started. A line that falls is a restart.",
            (f'time() - process_start_time_seconds{{job="bot", {CHOSEN}}}', "{{replica}}"),
        ),
        chart(
            "Store calls that failed",
            "cps",
            "In a second, by what was called: redis, hints and spool are Redis, all others PostgreSQL.",
            (rate("bot_store_errors_total", "store"), "{{store}}"),
        ),
        chart(
            "Breaker of PostgreSQL",
            "short",
            "0 closed, 2 open: then it is asked once a second, and nothing else.",
            (each("bot_breaker_state", only='name="database"'), "{{replica}}"),
        ),
        chart(
            "Parts of the sweep that failed",
            "cps",
            "In a second. The heartbeat is the one that a replica may not go without.",
            (rate("bot_sweep_failures_total", "part"), "{{part}}"),
        ),
        chart(
            "Spool",
            "short",
            "Accepted webhook events that wait in Redis for PostgreSQL; the same at every replica.",
            ("max(bot_spool_waiting)", "waiting"),
        ),
        chart(
            "Into the spool and out of it",
            "cps",
            "Webhook events in a second. While more go in than come out, it fills.",
            (rate("bot_spooled_total"), "in"),
            (rate("bot_spool_drained_total"), "out"),
            (rate("bot_spool_unconfirmed_total"), "not confirmed"),
        ),
        chart(
            "Hints between replicas",
            "cps",
            "What replicas told each other in a second, by what it says.",
            (rate("bot_hints_total", "what"), "{{what}}"),
        ),
        chart(
            "Values that cannot be read",
            "cps",
            "In a second: sealed with a key that is missing, or written by a newer release.",
            (rate("bot_sealed_unreadable_total", "what"), "no key: {{what}}"),
            (rate("bot_newer_release_total", "what"), "newer: {{what}}"),
        ),
        chart(
            "Deploy under way",
            "bool_yes_no",
            "Whether a migration is pending, or one of a newer release is applied.",
            (each("bot_deploy_unfinished"), "{{replica}}"),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, CONVERSATIONS, DELIVERY, MODEL, REPLICAS)
