-- Keys of the service behind a name, in pages.
select name as place, wrapped as sealed from keyring where name > $1 order by name limit $2
