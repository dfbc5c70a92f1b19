-- The schema as it is now, to read; what applies it is sql/migrations, and a test proves that both make the same.
-- Text, names and identities are bytea sealed by the application; see docs/architecture.md.
-- Sealed values are random bytes: `storage external` spares PostgreSQL the attempt to compress them.

create table schema_migrations (
  name text primary key,
  checksum text not null,
  applied_at timestamptz not null default now()
);

create table keyring (
  name text primary key,
  wrapped bytea not null
);
comment on table keyring is 'Keys of the service itself, wrapped by ENCRYPTION_KEYS (the key of fingerprints).';

create table users (
  id bigint generated always as identity primary key,
  data_key bytea,
  version bigint not null default 0,
  commit_id bigint not null default 0,
  state bytea,
  name bytea,
  language text not null default '',
  opted_out boolean not null default false,
  search bytea[] not null default '{}',
  merged_into bigint references users (id),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 70);
alter table users alter column state set storage external;
comment on column users.data_key is 'The customer''s data key, wrapped; null once it was destroyed (erasure).';
comment on column users.version is 'The guard of every write of this customer''s conversation.';
comment on column users.commit_id is 'The last write, so that one whose answer was lost recognises itself.';
create index users_search on users using gin (search);
create index users_merged on users (merged_into) where merged_into is not null;

create table identities (
  hash bytea primary key,
  user_id bigint not null references users (id),
  kind text not null check (kind in ('phone', 'user_id')),
  sealed bytea not null,
  created_at timestamptz not null default now()
);
comment on column identities.hash is 'Keyed fingerprint of kind and value; sealed holds the value under the customer''s key.';
create index identities_user on identities (user_id);

-- No index holds a column that every message changes, so that such updates stay within their page. Lists go by id, which
-- is a UUID of version 7 and so in order of creation.
create table conversations (
  id uuid primary key,
  session_id text not null,
  user_id bigint not null references users (id),
  status text not null check (status in ('bot', 'model', 'queue', 'agent', 'closed')),
  current_flow text not null default '',
  current_step text not null default '',
  language text not null default '',
  escalation_reason bytea not null default '',
  department text not null default '',
  agent text not null default '',
  number text not null default '',
  resolution_time double precision,
  satisfaction_score smallint,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  heard_at timestamptz not null,
  completed_at timestamptz
) with (fillfactor = 70);
comment on column conversations.escalation_reason is 'Sealed, as it may hold the customer''s words; empty: none.';
comment on column conversations.resolution_time is 'Seconds from created_at to completed_at, when a person resolved it.';
create index conversations_user on conversations (user_id, created_at desc);
create index conversations_open on conversations (user_id) where completed_at is null;
create index conversations_held on conversations (id) where status in ('queue', 'agent');

create table messages (
  id uuid primary key,
  seq bigint generated always as identity,
  conversation_id uuid not null,
  user_id bigint not null,
  direction text not null check (direction in ('inbound', 'outbound')),
  message_type text not null,
  kind text not null,
  content bytea not null,
  sender_number bytea not null,
  recipient_number bytea not null,
  number text not null default '',
  msg91_message_id text,
  request_id text,
  delivery_status text not null
    check (delivery_status in ('received', 'pending', 'sending', 'sent', 'delivered', 'read', 'failed', 'withheld')),
  failure_reason text not null default '',
  failure_code integer not null default 0,
  attempts integer not null default 0,
  retry_at timestamptz,
  claimed_by text not null default '',
  claimed_until timestamptz,
  claim_token bigint,
  reported smallint not null default 0,
  agent text not null default '',
  unanswered text not null default '',
  is_from_llm boolean not null default false,
  llm_model_used text not null default '',
  llm_cost numeric(14, 8),
  llm_cost_estimated boolean not null default false,
  processing_time double precision,
  caused_at timestamptz not null,
  created_at timestamptz not null,
  sent_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  constraint messages_claimed check ((claimed_by <> '') = (delivery_status in ('pending', 'sending')))
) with (fillfactor = 80);
alter table messages alter column content set storage external;
comment on column messages.seq is 'The order of a conversation.';
comment on column messages.claimed_by is 'The replica that sends it; empty as soon as there is nothing left to send.';
comment on column messages.claimed_until is 'Nobody else may claim it before, whatever the replica''s row says.';
comment on column messages.claim_token is 'The call that adopted it, so that one whose answer was lost finds it again.';
comment on column messages.reported is 'Statuses that delivery reports told: 1 sent, 2 failed, 4 delivered, 8 read.';
comment on column messages.processing_time is 'Seconds from the accepted webhook to the provider''s acceptance of the reply.';
comment on column messages.unanswered is 'Why the bot decided not to answer (stale, opted_out, person, ...).';
create index messages_conversation on messages (conversation_id, seq);
create index messages_outbox on messages (claimed_by, seq) where claimed_by <> '';
create index messages_provider on messages (msg91_message_id) where direction = 'outbound' and msg91_message_id is not null;
create index messages_request on messages (request_id) where request_id is not null;

create function delivery_rank(status text) returns integer
  language sql immutable parallel safe
  as $$ select array_position(array['pending', 'sending', 'sent', 'failed', 'delivered', 'read'], status) $$;
comment on function delivery_rank is 'How far a message of ours got, the order of bot/core/delivery.py; null for other statuses.';

create table journal (
  seq bigint generated always as identity primary key,
  dedup bytea not null unique,
  user_id bigint not null,
  kind text not null,
  sealed bytea not null,
  accepted_at timestamptz not null,
  consumed_at timestamptz,
  commit_id bigint
);
alter table journal alter column sealed set storage external;
comment on table journal is 'Every accepted event, sealed under the service''s key; consumed by mark, never by high-water mark.';
comment on column journal.commit_id is 'The write that consumed it, so that one whose answer was lost recognises itself.';
create index journal_unread on journal (user_id, seq) include (accepted_at) where consumed_at is null;

create table effects (
  id uuid primary key,
  user_id bigint not null,
  kind text not null,
  sealed bytea not null,
  claimed_by text not null,
  claim_token bigint,
  created_at timestamptz not null,
  done_at timestamptz
);
alter table effects alter column sealed set storage external;
create index effects_open on effects (claimed_by, created_at) where done_at is null;
create index effects_user on effects (user_id) where done_at is null;

create table timers (
  id uuid primary key,
  user_id bigint not null,
  kind text not null,
  due_at timestamptz not null
);
create index timers_due on timers (due_at);
create index timers_user on timers (user_id);

create table reports (
  dedup bytea primary key,
  msg91_message_id text,
  request_id text,
  recipient bytea,
  status text not null check (status in ('sent', 'failed', 'delivered', 'read')),
  reason text not null default '',
  code integer not null default 0,
  reported_at timestamptz not null,
  received_at timestamptz not null,
  matched_at timestamptz
);
comment on table reports is
  'Delivery reports of messages not known when they came: they overtook the answer of the send call, or are not ours.';
comment on column reports.recipient is 'Fingerprint of the phone number; a request id alone may stand for many messages.';
create index reports_waiting on reports (received_at) where matched_at is null;
create index reports_provider on reports (msg91_message_id) where matched_at is null;
create index reports_request on reports (request_id) where matched_at is null;
create index reports_received on reports (received_at);

create table model_calls (
  id uuid primary key,
  user_id bigint not null,
  conversation_id uuid not null,
  outcome text not null,
  model text not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  cost_usd numeric(14, 8) not null,
  estimated boolean not null,
  attempts integer not null,
  seconds double precision not null,
  generation_id text not null,
  created_at timestamptz not null
);
create index model_calls_recent on model_calls (created_at) include (cost_usd);
create index model_calls_conversation on model_calls (conversation_id);

create table parked (
  id bigint generated always as identity primary key,
  user_id bigint not null unique,
  journal_seq bigint not null,
  error text not null,
  attempts integer not null,
  parked_at timestamptz not null
);

create table quarantine (
  id bigint generated always as identity primary key,
  reason text not null,
  sealed bytea not null,
  received_at timestamptz not null
);

create table audit (
  id bigint generated always as identity primary key,
  action text not null,
  by_whom text not null,
  user_id bigint,
  conversation_id uuid,
  detail text not null default '',
  note bytea not null default '',
  created_at timestamptz not null
);
comment on column audit.note is 'What a person wrote about it, sealed under the customer''s key.';
create index audit_user on audit (user_id, id desc);
create index audit_recent on audit (created_at, id);
create index audit_by on audit (by_whom, created_at, id);
create index audit_action on audit (action, created_at, id);
create index audit_by_action on audit (by_whom, action, created_at, id);
create index audit_conversation on audit (conversation_id) where conversation_id is not null;

create table api_tokens (
  id bigint generated always as identity primary key,
  name text not null,
  hash bytea not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  created_by text not null,
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz
);
comment on column api_tokens.hash is 'SHA-256 of the secret: 256 random bits need no slow hash.';
comment on column api_tokens.last_used_at is 'To the minute.';
create unique index api_tokens_living on api_tokens (name) where revoked_at is null;

create table replicas (
  id text primary key,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  gone_at timestamptz not null,
  newest_migration text not null default '',
  claim_turn bigint not null default 0
);
comment on column replicas.gone_at is 'When it counts as gone unless it says again that it lives; then its claims are orphans.';
comment on column replicas.newest_migration is 'The last migration its release knows: a later one of kind post waits for it.';
comment on column replicas.claim_turn is 'Its last call that claims: an earlier one that comes late claims nothing.';

create table flow_versions (
  digest text primary key,
  flow_id text not null,
  version integer not null,
  source text not null,
  created_at timestamptz not null default now(),
  used_at timestamptz not null default now()
);

create table idempotency (
  key bytea primary key,
  fingerprint bytea not null,
  status smallint not null,
  answer bytea not null,
  subjects bytea[] not null default '{}',
  created_at timestamptz not null default now()
);
alter table idempotency alter column answer set storage external;
comment on table idempotency is 'Answers of finished calls under an Idempotency-Key, sealed under the service''s key; short-lived.';
comment on column idempotency.key is 'Keyed fingerprint of caller, method, path and key; fingerprint is that of the body.';
comment on column idempotency.subjects is 'Fingerprints (as identities.hash) of the numbers in the answer, so that erasure finds it.';
create index idempotency_created on idempotency (created_at);
create index idempotency_subjects on idempotency using gin (subjects) where subjects <> '{}';

create table message_days (
  day date primary key,
  totals jsonb not null,
  settled_at timestamptz not null default now()
);
comment on table message_days is
  'Messages of a day (UTC) by direction and status, counted a week later, when delivery reports no longer change them.';

create table looks (
  name text primary key,
  looked_at timestamptz not null,
  count bigint not null
);
comment on table looks is 'What one replica counted for all of them, so that the cost does not grow with their number.';
insert into looks (name, looked_at, count) values ('unanswered', '-infinity', 0);

create table webhook_endpoints (
  id uuid primary key,
  url text not null,
  events text[] not null,
  description text not null default '',
  secret bytea not null,
  old_secret bytea,
  old_secret_until timestamptz,
  active boolean not null default true,
  failures integer not null default 0,
  failing_since timestamptz,
  hold_until timestamptz,
  disabled_at timestamptz,
  disabled_reason text not null default '',
  created_at timestamptz not null default now()
);
comment on table webhook_endpoints is 'Systems of the company that are told of events.';
comment on column webhook_endpoints.secret is 'What signs, sealed under the service''s key; old_secret signs beside it for a while.';
comment on column webhook_endpoints.failures is 'Failed attempts in a row, of all deliveries and replicas.';
comment on column webhook_endpoints.hold_until is 'It is left alone until then, because it failed several times in a row.';

create table webhook_deliveries (
  id bigint generated always as identity primary key,
  endpoint_id uuid not null,
  event_id uuid not null,
  type text not null,
  user_id bigint,
  conversation_id uuid,
  sealed bytea not null,
  status text not null default 'pending' check (status in ('pending', 'delivered', 'failed', 'cancelled')),
  attempts integer not null default 0,
  last_status_code integer,
  error text not null default '',
  claimed_by text not null default '',
  claimed_until timestamptz,
  next_try_at timestamptz not null,
  created_at timestamptz not null,
  finished_at timestamptz
) with (fillfactor = 80);
alter table webhook_deliveries alter column sealed set storage external;
comment on table webhook_deliveries is 'One event for one endpoint, made with the commit it tells of. Its endpoint may be gone.';
comment on column webhook_deliveries.id is 'Rises with the order in which the events of a customer happened.';
comment on column webhook_deliveries.sealed is 'The body under the customer''s key; under the service''s where there is no customer.';
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_try_at) where status = 'pending';
create index webhook_deliveries_user on webhook_deliveries (user_id, endpoint_id, status, id);
create index webhook_deliveries_listed on webhook_deliveries (endpoint_id, status, id);
create index webhook_deliveries_old on webhook_deliveries (created_at);

create table erasures (
  id bigint generated always as identity primary key,
  key bytea not null unique,
  user_ids bigint[] not null,
  sought bytea not null default '',
  by_whom text not null,
  begun_at timestamptz not null,
  worked_at timestamptz not null,
  worked_off boolean not null default false,
  finished_at timestamptz not null default 'infinity',
  heard_by text[] not null default '{}',
  conversations integer not null default 0,
  messages integer not null default 0,
  events integer not null default 0,
  cancelled integer not null default 0,
  quarantined integer not null default 0
);
comment on table erasures is 'Customers who were erased: what is left to do for each, and that it was done.';
comment on column erasures.key is 'Fingerprint of phone number and Idempotency-Key, so that a repeated call finds its erasure.';
comment on column erasures.sought is 'The identities to look for, sealed under the service''s key; empty once it is finished.';
comment on column erasures.worked_at is 'When somebody last worked at it: long ago means that they are gone.';
comment on column erasures.heard_by is 'Replicas that hold nothing of the customer in memory or Redis any more.';
create index erasures_recent on erasures (finished_at);

create table suppressed (
  hash bytea primary key,
  since timestamptz not null
);
comment on table suppressed is 'Erased customers who had opted out: fingerprints (as identities.hash) under which they stay so.';

create function erased_id(id text) returns text
  language sql immutable parallel safe
  as $$ select 'erased:' || encode(sha256(convert_to(id, 'UTF8')), 'hex') $$;
comment on function erased_id is 'What stays of a provider''s message id, which may contain the number: late reports still match.';
