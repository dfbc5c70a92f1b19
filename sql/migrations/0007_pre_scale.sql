-- What keeps numbers cheap whatever is stored: messages counted by day, and looks that replicas share.

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
