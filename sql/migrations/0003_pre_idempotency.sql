-- Answers of finished calls of the API, for callers that repeat a call under the same key.

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
