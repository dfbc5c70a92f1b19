-- Commit a batch of writes of state, conversations and messages; one row for each that took effect.
-- Rows that belong to writes come as an array of the numbers of their writes beside one JSON array of the rows: for wide
-- rows that costs both sides less than an array for each column.
-- The guards: the stored version is the expected one, every consumed row waits still, and none waits before them: who
-- overlooked one (another replica's, a merge's, one that is parked) is turned away and reads the journal. Two commits of
-- one customer cannot both pass: the second waits for the first's row lock and then finds another version. All that
-- consumes rows raises the version, so what the snapshot says of the rows is true whenever the version is right.
with write as (
  select *
  from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::double precision[], $6::integer[])
    with ordinality as w (user_id, version, commit_id, state, at, consumes, n)
),
consumed as (
  select c.n, c.seq from unnest($7::integer[], $8::bigint[]) as c (n, seq)
),
waiting as (
  select l.n, count(*) as rows
  from (select n, max(seq) as seq from consumed group by n) l
  join write w on w.n = l.n
  cross join lateral (
    select from journal j where j.user_id = w.user_id and j.seq <= l.seq and j.consumed_at is null offset 0
  ) j
  group by l.n
),
taken as (
  update users u
  set version = u.version + 1, commit_id = w.commit_id, state = w.state, updated_at = to_timestamp(w.at)
  from write w
  left join waiting k on k.n = w.n
  where u.id = w.user_id and u.version = w.version and w.consumes = coalesce(k.rows, 0)
  returning w.n, u.id as user_id, w.commit_id, w.at
),
consumption as (
  update journal j
  set consumed_at = to_timestamp(t.at), commit_id = t.commit_id
  from consumed c
  join taken t on t.n = c.n
  where j.seq = c.seq
),
conversation as (
  insert into conversations (
    id, session_id, user_id, status, current_flow, current_step, language, escalation_reason, department, agent,
    number, created_at, updated_at, heard_at, completed_at, resolution_time
  )
  select
    c.id, c.session_id, t.user_id, c.status, c.current_flow, c.current_step, c.language,
    decode(c.escalation_reason, 'base64'), c.department, c.agent, c.number, to_timestamp(c.created_at),
    to_timestamp(c.updated_at), to_timestamp(c.heard_at), to_timestamp(c.completed_at), c.resolution_time
  from rows from (
    unnest($9::integer[]),
    json_to_recordset($10::json) as (
      id uuid, session_id text, status text, current_flow text, current_step text, language text,
      escalation_reason text, department text, agent text, number text, created_at double precision,
      updated_at double precision, heard_at double precision, completed_at double precision,
      resolution_time double precision
    )
  ) as c (
    n, id, session_id, status, current_flow, current_step, language, escalation_reason, department, agent, number,
    created_at, updated_at, heard_at, completed_at, resolution_time
  )
  join taken t on t.n = c.n
  on conflict (id) do update set
    session_id = excluded.session_id,
    status = excluded.status,
    current_flow = excluded.current_flow,
    current_step = excluded.current_step,
    language = excluded.language,
    escalation_reason = excluded.escalation_reason,
    department = excluded.department,
    agent = excluded.agent,
    number = excluded.number,
    updated_at = excluded.updated_at,
    heard_at = excluded.heard_at,
    completed_at = excluded.completed_at,
    resolution_time = excluded.resolution_time
),
message as (
  insert into messages (
    id, conversation_id, user_id, direction, message_type, content, sender_number, recipient_number, delivery_status,
    kind, created_at, caused_at, msg91_message_id, number, claimed_by, agent, unanswered, is_from_llm, llm_model_used,
    llm_cost, llm_cost_estimated
  )
  select
    m.id, m.conversation, t.user_id, m.direction, m.message_type, decode(m.content, 'base64'),
    decode(m.sender_number, 'base64'), decode(m.recipient_number, 'base64'), m.delivery_status, m.kind,
    to_timestamp(m.at), to_timestamp(m.caused_at), nullif(m.provider_id, ''), m.number, m.claimed_by, m.agent,
    m.unanswered, m.is_from_llm, m.llm_model_used, m.llm_cost, m.llm_cost_estimated
  from rows from (
    unnest($11::integer[]),
    json_to_recordset($12::json) as (
      id uuid, conversation uuid, direction text, message_type text, content text, sender_number text,
      recipient_number text, delivery_status text, kind text, at double precision, caused_at double precision,
      provider_id text, number text, claimed_by text, agent text, unanswered text, is_from_llm boolean,
      llm_model_used text, llm_cost numeric, llm_cost_estimated boolean
    )
  ) with ordinality as m (
    n, id, conversation, direction, message_type, content, sender_number, recipient_number, delivery_status, kind, at,
    caused_at, provider_id, number, claimed_by, agent, unanswered, is_from_llm, llm_model_used, llm_cost,
    llm_cost_estimated, o
  )
  join taken t on t.n = m.n
  order by m.o
)
select n from taken
