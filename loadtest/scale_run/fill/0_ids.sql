-- The ids of conversations and messages by their numbers and times, UUIDs of version 7; for this session only.
create function pg_temp.conversation_id(n bigint, at timestamptz) returns uuid language sql stable as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000' || '8' || substr(md5('c' || n), 1, 15))::uuid
$$;
create function pg_temp.message_id(n bigint, turn bigint, at timestamptz) returns uuid language sql stable as $$
  select (
    lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000' || '8' || substr(md5('x' || n * 100 + turn), 1, 15)
  )::uuid
$$;
