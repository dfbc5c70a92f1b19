import asyncpg


async def test_a_fresh_database_answers(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval("select count(*) from users") == 0


async def test_b(pool: asyncpg.Pool, redis_url) -> None:
    assert await pool.fetchval("select count(*) from users") == 0
