-- Every customer's wrapped data key.
select id, data_key from users where data_key is not null
