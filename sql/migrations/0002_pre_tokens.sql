-- Tokens of the API, and the indexes by which the audit log is read.
-- They are made in place: the audit log has a line for what people do, not for messages, and is small.

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

create index audit_recent on audit (created_at, id);
create index audit_by on audit (by_whom, created_at, id);
create index audit_action on audit (action, created_at, id);
create index audit_by_action on audit (by_whom, action, created_at, id);
create index audit_conversation on audit (conversation_id) where conversation_id is not null;
