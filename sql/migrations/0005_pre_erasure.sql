-- Erasure of a customer: the list of what was erased and has to be worked off, and opt-outs that outlive it.
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
