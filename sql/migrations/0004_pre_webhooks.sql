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
