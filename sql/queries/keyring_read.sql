-- The wrapped key under a name.
select wrapped from keyring where name = $1
