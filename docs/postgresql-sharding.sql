-- Spreads the event store over several PostgreSQL servers by repository: one coordinator, which
-- the operator connects to, and shards, which hold the events. For more than one server can take.
--
-- 1. On each shard, apply src/store/postgres/migrations/*.sql to an empty database.
-- 2. Let the operator make its schema in an empty database of the coordinator: start it once,
--    and stop it.
-- 3. In the coordinator's database, as a user that may:
--      CREATE EXTENSION postgres_fdw;
--      CREATE SERVER shard_0 FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '…', dbname '…');
--      CREATE USER MAPPING FOR CURRENT_USER SERVER shard_0 OPTIONS (user '…', password '…');
--    and so on for shard_1, shard_2, … Their number is fixed once there are events.
-- 4. Run this file there, as the operator's user, before there are events.
--
-- The operator sees that raw events lie in no partitions of time: it makes and drops none, and
-- removes old events in small batches. When a version brings a new migration, apply it to the
-- shards first. A transaction that writes to two shards is not atomic between them in a crash
-- at the moment of its commit: what was not acknowledged is delivered again, and what is there
-- already is a duplicate.

DO $$
DECLARE
    shards text[] := (SELECT array_agg(srvname ORDER BY length(srvname), srvname)
                      FROM pg_foreign_server WHERE srvname ~ '^shard_[0-9]+$');
    sharded text;
BEGIN
    IF shards IS NULL THEN
        RAISE EXCEPTION 'there is no server named shard_0';
    END IF;
    FOREACH sharded IN ARRAY ARRAY['raw_events', 'received_ids', 'unlinked', 'logical_events',
            'logical_tags', 'tag_facts', 'tag_ends', 'manifests', 'category_facts',
            'sealed', 'rollups', 'open_buckets'] LOOP
        EXECUTE format('CREATE TABLE %I (LIKE %I) PARTITION BY HASH (repository)',
            sharded || '_sharded', sharded);
        EXECUTE format('DROP TABLE %I', sharded);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', sharded || '_sharded', sharded);
        FOR shard IN 1 .. cardinality(shards) LOOP
            EXECUTE format('CREATE FOREIGN TABLE %I PARTITION OF %I
                    FOR VALUES WITH (MODULUS %s, REMAINDER %s)
                    SERVER %I OPTIONS (table_name %L, fetch_size ''1000'', batch_size ''1000'', async_capable ''true'')',
                sharded || '_' || (shard - 1), sharded, cardinality(shards), shard - 1,
                shards[shard], sharded);
        END LOOP;
    END LOOP;
END
$$;
