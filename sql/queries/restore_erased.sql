-- Customers whose key is not there any more, and the fingerprints under which they were known.
select
  array(select id from users where data_key is null) as ids,
  array(select i.hash from identities i join users u on u.id = i.user_id where u.data_key is null) as hashes
