-- Keep a wrapped key unless there is one under that name.
insert into keyring (name, wrapped) values ($1, $2) on conflict (name) do nothing
