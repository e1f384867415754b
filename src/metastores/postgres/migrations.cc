#include "metastores/postgres/migrations.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "metadata/log_store.hpp"
#include "metadata/metastore.hpp"

namespace yaks::metastores::postgres {
using metadata::metastore_error;

namespace {
// Migration N brings a database from version N-1 to N. Never changed once released: only added to.
constexpr const char* migrations[] = {
    // 1: the log.
    R"sql(
create table yaks.cluster (cluster_id text not null);
comment on table yaks.cluster is 'One row: the id that this cluster keeps for ever.';

create table yaks.head (
  log_id integer primary key,
  seq bigint not null, time_ms bigint not null,
  incarnation uuid not null, number bigint not null,
  previous_incarnation uuid not null, previous_number bigint not null,
  trimmed_seq bigint not null, trimmed_incarnation uuid not null, trimmed_number bigint not null
) with (fillfactor = 10);  -- room for many versions of the one row on its page: updates stay HOT
comment on table yaks.head is 'One row per log: its last entry, the one before it, and the last one that was trimmed.';

create table yaks.entries (
  log_id integer not null, seq bigint not null,
  incarnation uuid not null, number bigint not null,
  time_ms bigint not null, payload bytea not null,
  primary key (log_id, seq)
) with (toast_tuple_target = 8160);
-- Read often and soon: in line as far as a page goes, never compressed.
alter table yaks.entries alter column payload set storage external;
comment on table yaks.entries is 'The metadata log. Agents replay it; nothing else may write it.';

insert into yaks.head values (0, 0, 0, '00000000-0000-0000-0000-000000000000', 0,
  '00000000-0000-0000-0000-000000000000', 0, 0, '00000000-0000-0000-0000-000000000000', 0);

-- Appends one entry for a caller who has applied everything up to p_applied_*. First row: the new head and its time, ids
-- and payload null. Then the entries between what was applied and the new one, which the caller knows by itself, as far as
-- 4 MiB go.
--
-- VOLATILE, so that the read takes its snapshot after the lock on the head row was got: in one statement with CTEs it would
-- miss what others committed while this one waited. An error undoes the update of the head.
create function yaks.append(p_log_id integer, p_applied_seq bigint, p_applied_incarnation uuid, p_applied_number bigint,
                            p_incarnation uuid, p_number bigint, p_payload bytea)
returns table (entry_seq bigint, entry_incarnation uuid, entry_number bigint, entry_time_ms bigint, entry_payload bytea)
language plpgsql volatile as $function$
declare
  h yaks.head;
  now_ms bigint;
  is_same boolean;
  payload_bytes bigint := 0;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'yaks.append needs READ COMMITTED: other levels miss entries' using errcode = 'YK003';
  end if;
  if current_setting('synchronous_commit') in ('off', 'local') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  update yaks.head set
    seq = seq + 1, time_ms = greatest(time_ms, floor(extract(epoch from clock_timestamp()) * 1000)::bigint),
    previous_incarnation = incarnation, previous_number = number, incarnation = p_incarnation, number = p_number
  where log_id = p_log_id returning * into h;
  if not found then
    raise exception 'there is no log %', p_log_id using errcode = 'YK003';
  end if;
  -- The update reads the clock before it waits for the row, and again after the wait only if the row has changed meanwhile:
  -- not when who held it rolled back.
  now_ms := floor(extract(epoch from clock_timestamp()) * 1000)::bigint;
  if now_ms > h.time_ms + 10 then
    update yaks.head set time_ms = now_ms where log_id = p_log_id;
    h.time_ms := now_ms;
  end if;

  if p_applied_seq = h.seq - 1 then
    is_same := p_applied_incarnation = h.previous_incarnation and p_applied_number = h.previous_number;
  elsif p_applied_seq < h.trimmed_seq then
    raise exception 'the log is trimmed up to %', h.trimmed_seq using errcode = 'YK001';
  elsif p_applied_seq = h.trimmed_seq then
    is_same := p_applied_incarnation = h.trimmed_incarnation and p_applied_number = h.trimmed_number;
  else
    is_same := exists (select from yaks.entries e where e.log_id = p_log_id and e.seq = p_applied_seq and e.seq < h.seq
                       and e.incarnation = p_applied_incarnation and e.number = p_applied_number);
  end if;
  if not is_same then
    raise exception 'the log has another entry % or ends before it', p_applied_seq using errcode = 'YK002';
  end if;

  insert into yaks.entries values (p_log_id, h.seq, p_incarnation, p_number, h.time_ms, p_payload);
  entry_seq := h.seq;
  entry_time_ms := h.time_ms;
  return next;
  if p_applied_seq < h.seq - 1 then
    for entry_seq, entry_incarnation, entry_number, entry_time_ms, entry_payload in
      select e.seq, e.incarnation, e.number, e.time_ms, e.payload from yaks.entries e
      where e.log_id = p_log_id and e.seq > p_applied_seq and e.seq < h.seq order by e.seq
    loop
      exit when payload_bytes > 0 and payload_bytes + octet_length(entry_payload) > 4194304;
      payload_bytes := payload_bytes + octet_length(entry_payload);
      return next;
    end loop;
  end if;
end
$function$;

-- The entries after what the caller has applied, as far as 4 MiB go. First row: the head and the clock, ids and payload
-- null. STABLE: head and entries are of one snapshot, the calling statement's.
create function yaks.read_after(p_log_id integer, p_applied_seq bigint, p_applied_incarnation uuid, p_applied_number bigint)
returns table (entry_seq bigint, entry_incarnation uuid, entry_number bigint, entry_time_ms bigint, entry_payload bytea)
language plpgsql stable as $function$
declare
  h yaks.head;
  is_same boolean;
  payload_bytes bigint := 0;
begin
  select * into h from yaks.head where log_id = p_log_id;
  if not found then
    raise exception 'there is no log %', p_log_id using errcode = 'YK003';
  end if;
  if p_applied_seq = h.seq then
    is_same := p_applied_incarnation = h.incarnation and p_applied_number = h.number;
  elsif p_applied_seq < h.trimmed_seq then
    raise exception 'the log is trimmed up to %', h.trimmed_seq using errcode = 'YK001';
  elsif p_applied_seq = h.trimmed_seq then
    is_same := p_applied_incarnation = h.trimmed_incarnation and p_applied_number = h.trimmed_number;
  else
    is_same := exists (select from yaks.entries e where e.log_id = p_log_id and e.seq = p_applied_seq and e.seq <= h.seq
                       and e.incarnation = p_applied_incarnation and e.number = p_applied_number);
  end if;
  if not is_same then
    raise exception 'the log has another entry % or ends before it', p_applied_seq using errcode = 'YK002';
  end if;
  entry_seq := h.seq;
  entry_time_ms := greatest(h.time_ms, floor(extract(epoch from clock_timestamp()) * 1000)::bigint);
  return next;
  if p_applied_seq < h.seq then
    for entry_seq, entry_incarnation, entry_number, entry_time_ms, entry_payload in
      select e.seq, e.incarnation, e.number, e.time_ms, e.payload from yaks.entries e
      where e.log_id = p_log_id and e.seq > p_applied_seq order by e.seq
    loop
      exit when payload_bytes > 0 and payload_bytes + octet_length(entry_payload) > 4194304;
      payload_bytes := payload_bytes + octet_length(entry_payload);
      return next;
    end loop;
  end if;
end
$function$;
)sql",
    // 2: who is there.
    R"sql(
create table yaks.agents (
  incarnation uuid primary key,
  node_id integer not null, host text not null, port integer not null, zone text not null, version text not null,
  applied_seq bigint not null,
  renewed_at timestamptz not null, expires_at timestamptz not null
) with (fillfactor = 50);
comment on table yaks.agents is 'The leases of agents. One whose lease has lapsed is dead to the others.';

-- Renews one lease and answers the incarnations whose leases are live. Lapsed ones stay for an hour, for people.
create function yaks.renew_lease(p_incarnation uuid, p_node_id integer, p_host text, p_port integer, p_zone text,
                                 p_version text, p_applied_seq bigint, p_ttl_ms bigint)
returns setof uuid language plpgsql volatile as $function$
declare
  t timestamptz := clock_timestamp();
begin
  -- What is lost of this with a crash is renewed in seconds: no wait for the disk.
  perform set_config('synchronous_commit', 'off', true);
  insert into yaks.agents values (p_incarnation, p_node_id, p_host, p_port, p_zone, p_version, p_applied_seq, t,
                                  t + p_ttl_ms * interval '1 millisecond')
  on conflict (incarnation) do update set applied_seq = excluded.applied_seq, renewed_at = excluded.renewed_at,
                                          expires_at = excluded.expires_at;
  delete from yaks.agents where expires_at < t - interval '1 hour';
  return query select a.incarnation from yaks.agents a where a.expires_at > t;
end
$function$;
)sql",
    // 3: snapshots.
    R"sql(
create table yaks.snapshots (
  log_id integer not null, seq bigint not null, incarnation uuid not null, number bigint not null,
  key text not null, bytes bigint not null, digest bigint not null, created_at timestamptz not null default now(),
  primary key (log_id, seq)
);
comment on table yaks.snapshots is 'Where snapshots of the state lie in the object store: the newest two.';

-- Adds a snapshot, keeps the newest two, trims the log up to the older of them. Answers the keys of those that are not kept.
create function yaks.add_snapshot(p_log_id integer, p_seq bigint, p_incarnation uuid, p_number bigint, p_key text,
                                  p_bytes bigint, p_digest bigint)
returns setof text language plpgsql volatile as $function$
declare
  older yaks.snapshots;
begin
  perform set_config('synchronous_commit', 'on', true);
  lock table yaks.snapshots in exclusive mode;  -- rare, and agents may meet here
  if exists (select from yaks.snapshots s where s.log_id = p_log_id and s.seq >= p_seq) then
    return query select p_key where not exists (select from yaks.snapshots s where s.log_id = p_log_id and s.key = p_key);
    return;
  end if;
  insert into yaks.snapshots (log_id, seq, incarnation, number, key, bytes, digest)
    values (p_log_id, p_seq, p_incarnation, p_number, p_key, p_bytes, p_digest);
  select * into older from yaks.snapshots s where s.log_id = p_log_id order by s.seq desc offset 1 limit 1;
  if not found then
    return;
  end if;
  return query delete from yaks.snapshots s where s.log_id = p_log_id and s.seq < older.seq returning s.key;
  delete from yaks.entries e where e.log_id = p_log_id and e.seq <= older.seq;
  -- Last, so that appends wait for this row as shortly as can be.
  update yaks.head set trimmed_seq = older.seq, trimmed_incarnation = older.incarnation, trimmed_number = older.number
    where log_id = p_log_id and trimmed_seq < older.seq;
end
$function$;
)sql",
    // 4: the index of byte ranges.
    R"sql(
create table yaks.objects (
  log_id integer not null, number bigint not null, id uuid not null, bytes bigint not null,
  primary key (log_id, number)
);
comment on table yaks.objects is 'Objects that ranges in the index lie in, by the number that the log gave them.';

create table yaks.range_chunks (
  log_id integer not null, topic_id uuid not null, partition integer not null,
  base_offset bigint not null, end_offset bigint not null,
  range_count integer not null, record_count bigint not null, bytes bigint not null, max_timestamp bigint not null,
  first_object bigint not null, ranges bytea not null,
  primary key (log_id, topic_id, partition, base_offset)
);
alter table yaks.range_chunks alter column ranges set storage main;
comment on table yaks.range_chunks is 'Where records lie: about a hundred ranges a row, written once. yaks.ranges unfolds them.';

create table yaks.index_ends (
  log_id integer not null, topic_id uuid not null, partition integer not null, end_offset bigint not null,
  primary key (log_id, topic_id, partition)
) with (fillfactor = 50);
comment on table yaks.index_ends is 'Up to where the index of each partition goes; what follows is in the agents'' state.';

-- Adds each chunk that begins where the index of its partition ends, and answers where they end now.
create function yaks.add_chunks(p_log_id integer, p_numbers bigint[], p_ids uuid[], p_object_bytes bigint[], p_topics uuid[],
  p_partitions integer[], p_bases bigint[], p_ends bigint[], p_counts integer[], p_records bigint[], p_bytes bigint[],
  p_times bigint[], p_first_objects bigint[], p_ranges bytea[])
returns table (topic uuid, partition_index bigint, index_end bigint)
language plpgsql volatile as $function$
declare
  i integer;
  known bigint;
begin
  -- What is lost of this with a crash is done again: the log still has it.
  perform set_config('synchronous_commit', 'off', true);
  insert into yaks.objects select p_log_id, n, o, b from unnest(p_numbers, p_ids, p_object_bytes) as u(n, o, b)
    on conflict do nothing;
  -- In one order everywhere: two that meet wait for each other in turn, not in a circle.
  for i in select s.i from generate_subscripts(p_topics, 1) as s(i) order by p_topics[s.i], p_partitions[s.i], p_bases[s.i] loop
    insert into yaks.index_ends values (p_log_id, p_topics[i], p_partitions[i], p_bases[i]) on conflict do nothing;
    select e.end_offset into known from yaks.index_ends e
      where e.log_id = p_log_id and e.topic_id = p_topics[i] and e.partition = p_partitions[i] for update;
    if known = p_bases[i] then
      insert into yaks.range_chunks values (p_log_id, p_topics[i], p_partitions[i], p_bases[i], p_ends[i], p_counts[i],
        p_records[i], p_bytes[i], p_times[i], p_first_objects[i], p_ranges[i]);
      update yaks.index_ends e set end_offset = p_ends[i]
        where e.log_id = p_log_id and e.topic_id = p_topics[i] and e.partition = p_partitions[i];
    end if;
  end loop;
  return query select e.topic_id, e.partition::bigint, e.end_offset from yaks.index_ends e
    where e.log_id = p_log_id
      and (e.topic_id, e.partition) in (select u.t, u.p from unnest(p_topics, p_partitions) as u(t, p));
end
$function$;

create function yaks.drop_index(p_log_id integer, p_topic uuid) returns void language plpgsql volatile as $function$
begin
  delete from yaks.range_chunks where log_id = p_log_id and topic_id = p_topic;
  delete from yaks.index_ends where log_id = p_log_id and topic_id = p_topic;
end
$function$;

-- For people: the ranges of a chunk, one a row.
create function yaks.unfold(base_offset bigint, first_object bigint, ranges bytea)
returns table (range_offset bigint, records bigint, batches bigint, object_number bigint, range_position bigint, range_bytes bigint,
               range_max_timestamp bigint)
language plpgsql immutable as $function$
declare
  at integer := 0;
  field integer := 0;
  shift integer := 0;
  value bigint := 0;
  b integer;
  fields bigint[] := array[0, 0, 0, 0, 0, 0];
  o bigint := first_object;
  p bigint := 0;
  t bigint := 0;
begin
  range_offset := base_offset;
  while at < octet_length(ranges) loop
    b := get_byte(ranges, at);
    at := at + 1;
    value := value | ((b & 127)::bigint << shift);
    shift := shift + 7;
    if b < 128 then
      field := field + 1;
      fields[field] := value;
      value := 0;
      shift := 0;
      if field = 6 then
        records := fields[1];
        batches := fields[2];
        o := o + ((fields[3] >> 1) # -(fields[3] & 1));
        p := p + ((fields[4] >> 1) # -(fields[4] & 1));
        t := t + ((fields[6] >> 1) # -(fields[6] & 1));
        object_number := o;
        range_position := p;
        range_bytes := fields[5];
        range_max_timestamp := t;
        return next;
        range_offset := range_offset + records;
        field := 0;
      end if;
    end if;
  end loop;
end
$function$;

create view yaks.ranges as
  select c.log_id, c.topic_id, c.partition, u.range_offset as base_offset, u.records, u.batches, o.id as object_id,
         u.range_position as position, u.range_bytes as bytes, to_timestamp(u.range_max_timestamp / 1000.0) as max_timestamp
  from yaks.range_chunks c cross join lateral yaks.unfold(c.base_offset, c.first_object, c.ranges) u
  left join yaks.objects o on o.log_id = c.log_id and o.number = u.object_number;
comment on view yaks.ranges is 'The index, one row a range: for people, slow on large partitions.';
)sql",
    // 5: the tables for people's SQL.
    R"sql(
create table yaks.read_model (log_id integer primary key, as_of_seq bigint not null);
insert into yaks.read_model values (0, 0);
comment on table yaks.read_model is 'How far in the log topics, partitions and committed_offsets are.';

create table yaks.topics (
  log_id integer not null, topic_id uuid not null, name text not null, created_at timestamptz not null, partitions integer not null,
  configs jsonb not null,
  primary key (log_id, topic_id)
);
comment on table yaks.topics is 'Topics, a few seconds old. configs: what was set; the rest has its default.';

create table yaks.partitions (
  log_id integer not null, topic_id uuid not null, partition integer not null,
  log_start bigint not null, high_watermark bigint not null, bytes bigint not null,
  primary key (log_id, topic_id, partition)
) with (fillfactor = 50);
comment on table yaks.partitions is 'Partitions that were ever written to, a few seconds old. bytes: as stored, from log_start on.';

create table yaks.committed_offsets (
  log_id integer not null, group_name text not null, topic_id uuid not null, partition integer not null,
  committed_offset bigint not null, leader_epoch integer not null, metadata text not null, committed_at timestamptz not null,
  primary key (log_id, group_name, topic_id, partition)
) with (fillfactor = 50);
comment on table yaks.committed_offsets is 'What groups have committed, a few seconds old.';

-- True: written. False: what is there is newer.
create function yaks.write_read_model(p_log_id integer, p_as_of bigint, p_deleted uuid[], p_topics uuid[], p_names text[],
                                      p_created bigint[], p_partition_counts integer[], p_configs text[],
                                      p_partition_topics uuid[], p_partitions integer[], p_starts bigint[], p_ends bigint[],
                                      p_bytes bigint[], p_groups text[], p_offset_groups text[], p_offset_topics uuid[],
                                      p_offset_partitions integer[], p_offsets bigint[], p_epochs integer[], p_metadata text[],
                                      p_committed bigint[])
returns bigint language plpgsql volatile as $function$
begin
  -- What is lost of this with a crash is written again by whoever begins next.
  perform set_config('synchronous_commit', 'off', true);
  update yaks.read_model set as_of_seq = p_as_of where log_id = p_log_id and as_of_seq <= p_as_of;
  if not found then
    return 0;
  end if;
  delete from yaks.committed_offsets where log_id = p_log_id and topic_id = any(p_deleted);
  delete from yaks.partitions where log_id = p_log_id and topic_id = any(p_deleted);
  delete from yaks.topics where log_id = p_log_id and topic_id = any(p_deleted);
  insert into yaks.topics
    select p_log_id, i, n, to_timestamp(t / 1000.0), c, s::jsonb
    from unnest(p_topics, p_names, p_created, p_partition_counts, p_configs) as u(i, n, t, c, s)
  on conflict (log_id, topic_id) do update set partitions = excluded.partitions, configs = excluded.configs;
  insert into yaks.partitions as p
    select p_log_id, t, i, s, e, b from unnest(p_partition_topics, p_partitions, p_starts, p_ends, p_bytes) as u(t, i, s, e, b)
  on conflict (log_id, topic_id, partition) do update
    set log_start = excluded.log_start, high_watermark = excluded.high_watermark, bytes = excluded.bytes
    where (p.log_start, p.high_watermark, p.bytes) is distinct from (excluded.log_start, excluded.high_watermark, excluded.bytes);
  delete from yaks.committed_offsets c where c.log_id = p_log_id and c.group_name = any(p_groups)
    and (c.group_name, c.topic_id, c.partition) not in
      (select g, t, i from unnest(p_offset_groups, p_offset_topics, p_offset_partitions) as u(g, t, i));
  insert into yaks.committed_offsets as c
    select p_log_id, g, t, i, o, l, m, to_timestamp(a / 1000.0)
    from unnest(p_offset_groups, p_offset_topics, p_offset_partitions, p_offsets, p_epochs, p_metadata, p_committed)
      as u(g, t, i, o, l, m, a)
  on conflict (log_id, group_name, topic_id, partition) do update
    set committed_offset = excluded.committed_offset, leader_epoch = excluded.leader_epoch, metadata = excluded.metadata,
        committed_at = excluded.committed_at
    where (c.committed_offset, c.committed_at) is distinct from (excluded.committed_offset, excluded.committed_at);
  return 1;
end
$function$;

create view yaks.topic_sizes as
  select t.log_id, t.name as topic, t.partitions, coalesce(sum(p.high_watermark - p.log_start), 0)::bigint as records,
         coalesce(sum(p.bytes), 0)::bigint as bytes
  from yaks.topics t left join yaks.partitions p using (log_id, topic_id)
  group by t.log_id, t.topic_id, t.name, t.partitions;
comment on view yaks.topic_sizes is 'Records and bytes of each topic.';

create view yaks.group_lag as
  select c.log_id, c.group_name, t.name as topic, c.partition, c.committed_offset,
         coalesce(p.high_watermark, 0) as high_watermark,
         greatest(coalesce(p.high_watermark, 0) - c.committed_offset, 0) as lag, c.committed_at
  from yaks.committed_offsets c
  join yaks.topics t using (log_id, topic_id)
  left join yaks.partitions p using (log_id, topic_id, partition);
comment on view yaks.group_lag is 'How far each group is behind, per partition: sum(lag) per group and topic is the usual question.';

create view yaks.topic_bytes_per_day as
  select c.log_id, t.name as topic,
         (to_timestamp(('x' || substr(replace(o.id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0) at time zone 'UTC')::date as day,
         sum(c.bytes)::bigint as bytes, sum(c.record_count)::bigint as records
  from yaks.range_chunks c
  join yaks.topics t on t.log_id = c.log_id and t.topic_id = c.topic_id
  left join yaks.objects o on o.log_id = c.log_id and o.number = c.first_object
  group by 1, 2, 3;
comment on view yaks.topic_bytes_per_day is 'Bytes and records by UTC day of arrival, of what is in the index: the newest minutes are not yet.';
)sql",
    // 6: how many ranges lie in each object, and what becomes of objects that have none.
    R"sql(
create table yaks.upkeep (log_id integer primary key, term bigint not null);
insert into yaks.upkeep values (0, 0);
comment on table yaks.upkeep is 'Whose writes into the index are taken: those of this term of upkeep, or of a later one.';

alter table yaks.objects
  add column ranges bigint not null default 0, add column released boolean not null default false,
  add column retired_seq bigint, add column retired_ms bigint;
comment on column yaks.objects.ranges is 'How many ranges of the index lie in it.';
comment on column yaks.objects.released is 'True: the agents'' state holds no range of it any more.';
comment on column yaks.objects.retired_seq is 'Nothing refers to it since this entry of the log: it is deleted after the grace.';
update yaks.objects o set ranges = n.n from (
  select c.log_id, u.object_number, count(*) as n
  from yaks.range_chunks c cross join lateral yaks.unfold(c.base_offset, c.first_object, c.ranges) u group by 1, 2) n
  where o.log_id = n.log_id and o.number = n.object_number;
create index objects_gone on yaks.objects (log_id, retired_seq) where released and ranges = 0;
create index objects_id on yaks.objects (id);

-- Every function that changes the index calls this first: it holds back others until the end of the transaction, and refuses
-- whoever comes with an earlier term.
create function yaks.in_term(p_log_id integer, p_term bigint, p_is_durable boolean) returns void
language plpgsql volatile as $function$
declare
  known bigint;
begin
  perform set_config('synchronous_commit', case when p_is_durable then 'on' else 'off' end, true);
  select u.term into known from yaks.upkeep u where u.log_id = p_log_id for update;
  if known > p_term then
    raise exception 'term % of upkeep is over, this is term %', p_term, known using errcode = 'YK004';
  elsif known < p_term then
    update yaks.upkeep set term = p_term where log_id = p_log_id;
  end if;
end
$function$;

create function yaks.begin_term(p_log_id integer, p_term bigint) returns void language plpgsql volatile as $function$
begin
  perform yaks.in_term(p_log_id, p_term, true);
end
$function$;

-- Agents of before do not count what they add: they shall not add.
drop function yaks.add_chunks(integer, bigint[], uuid[], bigint[], uuid[], integer[], bigint[], bigint[], integer[], bigint[], bigint[],
                              bigint[], bigint[], bytea[]);
drop function yaks.drop_index(integer, uuid);

create function yaks.insert_chunk(p_log_id integer, p_topic uuid, p_partition integer, p_base bigint, p_end bigint, p_count integer,
                                  p_records bigint, p_bytes bigint, p_time bigint, p_first_object bigint, p_ranges bytea)
returns void language plpgsql volatile as $function$
begin
  insert into yaks.range_chunks values (p_log_id, p_topic, p_partition, p_base, p_end, p_count, p_records, p_bytes, p_time,
                                        p_first_object, p_ranges);
  update yaks.objects o set ranges = o.ranges + n.n
    from (select u.object_number, count(*) as n from yaks.unfold(p_base, p_first_object, p_ranges) u group by 1) n
    where o.log_id = p_log_id and o.number = n.object_number;
end
$function$;

-- Adds each chunk that begins where the index of its partition ends, and answers where they end now.
create function yaks.add_chunks(p_log_id integer, p_term bigint, p_numbers bigint[], p_ids uuid[], p_object_bytes bigint[],
  p_topics uuid[], p_partitions integer[], p_bases bigint[], p_ends bigint[], p_counts integer[], p_records bigint[],
  p_bytes bigint[], p_times bigint[], p_first_objects bigint[], p_ranges bytea[])
returns table (topic uuid, partition_index bigint, index_end bigint)
language plpgsql volatile as $function$
declare
  i integer;
  known bigint;
  added integer[];
begin
  -- What is lost of this with a crash is done again: the log still has it.
  perform yaks.in_term(p_log_id, p_term, false);
  insert into yaks.objects (log_id, number, id, bytes)
    select p_log_id, n, o, b from unnest(p_numbers, p_ids, p_object_bytes) as u(n, o, b)
    on conflict do nothing;
  for i in select s.i from generate_subscripts(p_topics, 1) as s(i) order by p_topics[s.i], p_partitions[s.i], p_bases[s.i] loop
    insert into yaks.index_ends values (p_log_id, p_topics[i], p_partitions[i], p_bases[i]) on conflict do nothing;
    select e.end_offset into known from yaks.index_ends e
      where e.log_id = p_log_id and e.topic_id = p_topics[i] and e.partition = p_partitions[i];
    if known = p_bases[i] then
      insert into yaks.range_chunks values (p_log_id, p_topics[i], p_partitions[i], p_bases[i], p_ends[i], p_counts[i], p_records[i],
                                            p_bytes[i], p_times[i], p_first_objects[i], p_ranges[i]);
      update yaks.index_ends e set end_offset = p_ends[i]
        where e.log_id = p_log_id and e.topic_id = p_topics[i] and e.partition = p_partitions[i];
      added := added || i;
    end if;
  end loop;
  -- Once per object, however many chunks name it: an object has ranges of many partitions.
  update yaks.objects o set ranges = o.ranges + n.n from (
    select u.object_number, count(*) as n
    from unnest(p_bases, p_first_objects, p_ranges) with ordinality as c(base, first_object, ranges, i)
      cross join lateral yaks.unfold(c.base, c.first_object, c.ranges) u
    where c.i = any(added) group by 1) n
    where o.log_id = p_log_id and o.number = n.object_number;
  return query select e.topic_id, e.partition::bigint, e.end_offset from yaks.index_ends e
    where e.log_id = p_log_id
      and (e.topic_id, e.partition) in (select u.t, u.p from unnest(p_topics, p_partitions) as u(t, p));
end
$function$;

-- Ranges before p_tos leave. What is left of a chunk that a trim divides comes as the i-th rest; its count is 0 where there is none.
create function yaks.trim_index(p_log_id integer, p_term bigint, p_topics uuid[], p_partitions integer[], p_tos bigint[],
  p_ends bigint[], p_counts integer[], p_records bigint[], p_bytes bigint[], p_times bigint[], p_first_objects bigint[],
  p_ranges bytea[])
returns void language plpgsql volatile as $function$
declare
  i integer;
  beyond bigint;
begin
  perform yaks.in_term(p_log_id, p_term, true);
  for i in select s.i from generate_subscripts(p_topics, 1) as s(i) order by p_topics[s.i], p_partitions[s.i] loop
    select max(c.end_offset) into beyond from yaks.range_chunks c
      where c.log_id = p_log_id and c.topic_id = p_topics[i] and c.partition = p_partitions[i]
        and c.base_offset < p_tos[i] and c.end_offset > p_tos[i];
    if coalesce(beyond, 0) <> (case when p_counts[i] > 0 then p_ends[i] else 0 end) then
      raise exception 'a trim of the index does not know what it leaves';
    end if;
    with gone as (
      delete from yaks.range_chunks c
      where c.log_id = p_log_id and c.topic_id = p_topics[i] and c.partition = p_partitions[i] and c.base_offset < p_tos[i]
      returning c.base_offset, c.first_object, c.ranges),
    n as (select u.object_number, count(*) as n from gone g cross join lateral yaks.unfold(g.base_offset, g.first_object, g.ranges) u
          group by 1)
    update yaks.objects o set ranges = o.ranges - n.n from n where o.log_id = p_log_id and o.number = n.object_number;
    if p_counts[i] > 0 then
      perform yaks.insert_chunk(p_log_id, p_topics[i], p_partitions[i], p_tos[i], p_ends[i], p_counts[i], p_records[i], p_bytes[i],
                                p_times[i], p_first_objects[i], p_ranges[i]);
    end if;
    insert into yaks.index_ends as e values (p_log_id, p_topics[i], p_partitions[i], p_tos[i])
      on conflict (log_id, topic_id, partition) do update set end_offset = greatest(e.end_offset, excluded.end_offset)
      where e.end_offset < excluded.end_offset;
  end loop;
end
$function$;

-- 1: nothing of the topic is left.
create function yaks.drop_topic(p_log_id integer, p_term bigint, p_topic uuid, p_chunks_max bigint) returns bigint
language plpgsql volatile as $function$
begin
  perform yaks.in_term(p_log_id, p_term, true);
  with gone as (
    delete from yaks.range_chunks c where c.log_id = p_log_id and c.topic_id = p_topic and (c.partition, c.base_offset) in (
      -- Those of one time together: they lie in the same objects.
      select d.partition, d.base_offset from yaks.range_chunks d where d.log_id = p_log_id and d.topic_id = p_topic
      order by d.first_object limit p_chunks_max)
    returning c.base_offset, c.first_object, c.ranges),
  n as (select u.object_number, count(*) as n from gone g cross join lateral yaks.unfold(g.base_offset, g.first_object, g.ranges) u
        group by 1)
  update yaks.objects o set ranges = o.ranges - n.n from n where o.log_id = p_log_id and o.number = n.object_number;
  if exists (select from yaks.range_chunks c where c.log_id = p_log_id and c.topic_id = p_topic) then
    return 0;
  end if;
  delete from yaks.index_ends e where e.log_id = p_log_id and e.topic_id = p_topic;
  return 1;
end
$function$;

create function yaks.release_objects(p_log_id integer, p_term bigint, p_numbers bigint[], p_ids uuid[], p_bytes bigint[])
returns void language plpgsql volatile as $function$
begin
  perform yaks.in_term(p_log_id, p_term, true);
  insert into yaks.objects as o (log_id, number, id, bytes, released)
    select p_log_id, n, i, b, true from unnest(p_numbers, p_ids, p_bytes) as u(n, i, b)
    on conflict (log_id, number) do update set released = true where not o.released;
end
$function$;

create function yaks.retire_objects(p_log_id integer, p_term bigint, p_seq bigint, p_ms bigint) returns bigint
language plpgsql volatile as $function$
declare
  n bigint;
begin
  perform yaks.in_term(p_log_id, p_term, true);
  update yaks.objects set retired_seq = p_seq, retired_ms = p_ms
    where log_id = p_log_id and released and ranges = 0 and retired_seq is null;
  get diagnostics n = row_count;
  return n;
end
$function$;

-- The highest bit of a range's batch count says that its records have the time at which they were stored.
create or replace view yaks.ranges as
  select c.log_id, c.topic_id, c.partition, u.range_offset as base_offset, u.records, u.batches & 2147483647 as batches, o.id as object_id,
         u.range_position as position, u.range_bytes as bytes, to_timestamp(u.range_max_timestamp / 1000.0) as max_timestamp
  from yaks.range_chunks c cross join lateral yaks.unfold(c.base_offset, c.first_object, c.ranges) u
  left join yaks.objects o on o.log_id = c.log_id and o.number = u.object_number;

create function yaks.forget_objects(p_log_id integer, p_term bigint, p_numbers bigint[]) returns void
language plpgsql volatile as $function$
begin
  perform yaks.in_term(p_log_id, p_term, true);
  delete from yaks.objects where log_id = p_log_id and number = any(p_numbers) and released and ranges = 0 and retired_seq is not null;
end
$function$;
)sql",
    // What add_chunks wrote did not wait for the disk, for the entry that lets go of it in the state is flushed after it. But where
    // the server crashes between the two, the agent appends that entry again, to a server that has lost the chunks: the state let go
    // of what the index did not have. So everything in a term is durable before its author hears of it.
    R"sql(
create or replace function yaks.in_term(p_log_id integer, p_term bigint, p_is_durable boolean) returns void
language plpgsql volatile as $function$
declare
  known bigint;
begin
  perform set_config('synchronous_commit', 'on', true);
  select u.term into known from yaks.upkeep u where u.log_id = p_log_id for update;
  if known > p_term then
    raise exception 'term % of upkeep is over, this is term %', p_term, known using errcode = 'YK004';
  elsif known < p_term then
    update yaks.upkeep set term = p_term where log_id = p_log_id;
  end if;
end
$function$;
)sql",
    // What agents show each other.
    R"sql(
create table yaks.secrets (name text primary key, value text not null);
comment on table yaks.secrets is 'peers: what an agent shows when it asks another one for cached data. Delete it for a new one.';
)sql",
    // Counts come from whoever writes, who has the ranges at hand: to unfold them here took most of the time. The functions
    // of before stay for agents of before, and count as they did.
    R"sql(
-- Adds each chunk that begins where the index of its partition ends, and answers where they end now. p_each: how many of the
-- ranges lie in each object.
create function yaks.add_counted(p_log_id integer, p_term bigint, p_numbers bigint[], p_ids uuid[], p_object_bytes bigint[],
  p_each bigint[], p_topics uuid[], p_partitions integer[], p_bases bigint[], p_ends bigint[], p_counts integer[], p_records bigint[],
  p_bytes bigint[], p_times bigint[], p_first_objects bigint[], p_ranges bytea[])
returns table (topic uuid, partition_index bigint, index_end bigint)
language plpgsql volatile as $function$
declare
  i integer;
  known bigint;
  added integer[];
begin
  perform yaks.in_term(p_log_id, p_term, true);
  for i in select s.i from generate_subscripts(p_topics, 1) as s(i) order by p_topics[s.i], p_partitions[s.i], p_bases[s.i] loop
    insert into yaks.index_ends values (p_log_id, p_topics[i], p_partitions[i], p_bases[i]) on conflict do nothing;
    update yaks.index_ends e set end_offset = p_ends[i]
      where e.log_id = p_log_id and e.topic_id = p_topics[i] and e.partition = p_partitions[i] and e.end_offset = p_bases[i];
    if found then
      added := added || i;
    end if;
  end loop;
  insert into yaks.range_chunks
    select p_log_id, p_topics[s.i], p_partitions[s.i], p_bases[s.i], p_ends[s.i], p_counts[s.i], p_records[s.i], p_bytes[s.i],
           p_times[s.i], p_first_objects[s.i], p_ranges[s.i]
    from unnest(added) as s(i);
  if cardinality(added) = cardinality(p_topics) then
    insert into yaks.objects as o (log_id, number, id, bytes, ranges)
      select p_log_id, u.number, u.id, u.bytes, u.each from unnest(p_numbers, p_ids, p_object_bytes, p_each) as u(number, id, bytes, each)
      on conflict (log_id, number) do update set ranges = o.ranges + excluded.ranges;
  else
    -- Rare: somebody has written some of them before.
    insert into yaks.objects (log_id, number, id, bytes)
      select p_log_id, u.number, u.id, u.bytes from unnest(p_numbers, p_ids, p_object_bytes) as u(number, id, bytes)
      on conflict do nothing;
    update yaks.objects o set ranges = o.ranges + n.n from (
      select u.object_number, count(*) as n
      from unnest(added) as s(i) cross join lateral yaks.unfold(p_bases[s.i], p_first_objects[s.i], p_ranges[s.i]) u
      group by 1) n
      where o.log_id = p_log_id and o.number = n.object_number;
  end if;
  return query select e.topic_id, e.partition::bigint, e.end_offset from yaks.index_ends e
    where e.log_id = p_log_id
      and (e.topic_id, e.partition) in (select u.t, u.p from unnest(p_topics, p_partitions) as u(t, p));
end
$function$;

-- Some chunks go and others come, as their writer has worked out from what it has read in the same term. p_numbers and p_deltas: by
-- how much the counts of objects change. Where partitions end from here on, at least: p_end_*. p_over: a topic of which nothing is left.
create function yaks.change_chunks(p_log_id integer, p_term bigint,
  p_gone_topics uuid[], p_gone_partitions integer[], p_gone_bases bigint[],
  p_topics uuid[], p_partitions integer[], p_bases bigint[], p_ends bigint[], p_counts integer[], p_records bigint[],
  p_bytes bigint[], p_times bigint[], p_first_objects bigint[], p_ranges bytea[],
  p_numbers bigint[], p_deltas bigint[], p_end_topics uuid[], p_end_partitions integer[], p_end_offsets bigint[], p_over uuid)
returns void language plpgsql volatile as $function$
declare
  done bigint;
begin
  perform yaks.in_term(p_log_id, p_term, true);
  delete from yaks.range_chunks c using unnest(p_gone_topics, p_gone_partitions, p_gone_bases) as g(t, p, b)
    where c.log_id = p_log_id and c.topic_id = g.t and c.partition = g.p and c.base_offset = g.b;
  get diagnostics done = row_count;
  if done <> cardinality(p_gone_bases) then
    raise exception '% of % chunks are in the index: it is not as its writer has read it', done, cardinality(p_gone_bases);
  end if;
  insert into yaks.range_chunks
    select p_log_id, c.* from unnest(p_topics, p_partitions, p_bases, p_ends, p_counts, p_records, p_bytes, p_times, p_first_objects,
                                     p_ranges) as c;
  update yaks.objects o set ranges = o.ranges + d.d from unnest(p_numbers, p_deltas) as d(n, d)
    where o.log_id = p_log_id and o.number = d.n;
  get diagnostics done = row_count;
  if done <> cardinality(p_numbers) then
    raise exception '% of % objects are in the index: it is not as its writer has read it', done, cardinality(p_numbers);
  end if;
  insert into yaks.index_ends as e
    select p_log_id, u.t, u.p, u.o from unnest(p_end_topics, p_end_partitions, p_end_offsets) as u(t, p, o)
    on conflict (log_id, topic_id, partition) do update set end_offset = excluded.end_offset where e.end_offset < excluded.end_offset;
  delete from yaks.index_ends e where e.log_id = p_log_id and e.topic_id = p_over;
end
$function$;
)sql",
    // 10: merging: objects that are made of ranges of others, and how much of each object is live. The functions of before stay for
    // agents of before; what they add is not measured (0), and such an object is never taken for a sparse one.
    R"sql(
alter table yaks.objects add column live_bytes bigint not null default 0, add column merged boolean not null default false;
comment on column yaks.objects.live_bytes is 'Bytes of the ranges of the index that lie in it; 0 where nobody has measured.';
comment on column yaks.objects.merged is 'True: made of ranges of other objects, later than they.';
update yaks.objects o set live_bytes = n.n from (
  select c.log_id, u.object_number, sum(u.range_bytes)::bigint as n
  from yaks.range_chunks c cross join lateral yaks.unfold(c.base_offset, c.first_object, c.ranges) u group by 1, 2) n
  where o.log_id = n.log_id and o.number = n.object_number;

-- As add_counted, with the bytes of the ranges in each object: p_each_bytes.
create function yaks.add_measured(p_log_id integer, p_term bigint, p_numbers bigint[], p_ids uuid[], p_object_bytes bigint[],
  p_each bigint[], p_each_bytes bigint[], p_topics uuid[], p_partitions integer[], p_bases bigint[], p_ends bigint[],
  p_counts integer[], p_records bigint[], p_bytes bigint[], p_times bigint[], p_first_objects bigint[], p_ranges bytea[])
returns table (topic uuid, partition_index bigint, index_end bigint)
language plpgsql volatile as $function$
declare
  i integer;
  added integer[];
begin
  perform yaks.in_term(p_log_id, p_term, true);
  for i in select s.i from generate_subscripts(p_topics, 1) as s(i) order by p_topics[s.i], p_partitions[s.i], p_bases[s.i] loop
    insert into yaks.index_ends values (p_log_id, p_topics[i], p_partitions[i], p_bases[i]) on conflict do nothing;
    update yaks.index_ends e set end_offset = p_ends[i]
      where e.log_id = p_log_id and e.topic_id = p_topics[i] and e.partition = p_partitions[i] and e.end_offset = p_bases[i];
    if found then
      added := added || i;
    end if;
  end loop;
  insert into yaks.range_chunks
    select p_log_id, p_topics[s.i], p_partitions[s.i], p_bases[s.i], p_ends[s.i], p_counts[s.i], p_records[s.i], p_bytes[s.i],
           p_times[s.i], p_first_objects[s.i], p_ranges[s.i]
    from unnest(added) as s(i);
  if cardinality(added) = cardinality(p_topics) then
    insert into yaks.objects as o (log_id, number, id, bytes, ranges, live_bytes)
      select p_log_id, u.number, u.id, u.bytes, u.each, u.live
      from unnest(p_numbers, p_ids, p_object_bytes, p_each, p_each_bytes) as u(number, id, bytes, each, live)
      on conflict (log_id, number) do update set ranges = o.ranges + excluded.ranges, live_bytes = o.live_bytes + excluded.live_bytes;
  else
    -- Rare: somebody has written some of them before.
    insert into yaks.objects (log_id, number, id, bytes)
      select p_log_id, u.number, u.id, u.bytes from unnest(p_numbers, p_ids, p_object_bytes) as u(number, id, bytes)
      on conflict do nothing;
    update yaks.objects o set ranges = o.ranges + n.n, live_bytes = o.live_bytes + n.live from (
      select u.object_number, count(*) as n, sum(u.range_bytes)::bigint as live
      from unnest(added) as s(i) cross join lateral yaks.unfold(p_bases[s.i], p_first_objects[s.i], p_ranges[s.i]) u
      group by 1) n
      where o.log_id = p_log_id and o.number = n.object_number;
  end if;
  return query select e.topic_id, e.partition::bigint, e.end_offset from yaks.index_ends e
    where e.log_id = p_log_id
      and (e.topic_id, e.partition) in (select u.t, u.p from unnest(p_topics, p_partitions) as u(t, p));
end
$function$;

-- As change_chunks, with the bytes by which live_bytes of objects change, and a merged object that some of the new chunks name
-- (its number is 0: none).
create function yaks.change_measured(p_log_id integer, p_term bigint,
  p_gone_topics uuid[], p_gone_partitions integer[], p_gone_bases bigint[],
  p_topics uuid[], p_partitions integer[], p_bases bigint[], p_ends bigint[], p_counts integer[], p_records bigint[],
  p_bytes bigint[], p_times bigint[], p_first_objects bigint[], p_ranges bytea[],
  p_numbers bigint[], p_deltas bigint[], p_end_topics uuid[], p_end_partitions integer[], p_end_offsets bigint[], p_over uuid,
  p_byte_deltas bigint[], p_merged_number bigint, p_merged_id uuid, p_merged_bytes bigint)
returns void language plpgsql volatile as $function$
begin
  perform yaks.in_term(p_log_id, p_term, true);
  if p_merged_number <> 0 then
    insert into yaks.objects (log_id, number, id, bytes, merged) values (p_log_id, p_merged_number, p_merged_id, p_merged_bytes, true);
  end if;
  perform yaks.change_chunks(p_log_id, p_term, p_gone_topics, p_gone_partitions, p_gone_bases, p_topics, p_partitions, p_bases, p_ends,
    p_counts, p_records, p_bytes, p_times, p_first_objects, p_ranges, p_numbers, p_deltas, p_end_topics, p_end_partitions,
    p_end_offsets, p_over);
  update yaks.objects o set live_bytes = o.live_bytes + d.d from unnest(p_numbers, p_byte_deltas) as d(n, d)
    where o.log_id = p_log_id and o.number = d.n and d.d <> 0;
end
$function$;

-- An object that was merged later than its records came does not tell their day; their own times do.
create or replace view yaks.topic_bytes_per_day as
  select c.log_id, t.name as topic,
         (case when o.merged and c.max_timestamp >= 0 then to_timestamp(c.max_timestamp / 1000.0)
               else to_timestamp(('x' || substr(replace(o.id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0) end
          at time zone 'UTC')::date as day,
         sum(c.bytes)::bigint as bytes, sum(c.record_count)::bigint as records
  from yaks.range_chunks c
  join yaks.topics t on t.log_id = c.log_id and t.topic_id = c.topic_id
  left join yaks.objects o on o.log_id = c.log_id and o.number = c.first_object
  group by 1, 2, 3;
comment on view yaks.topic_bytes_per_day is 'Bytes and records by UTC day of arrival, of what is in the index: the newest minutes are not yet. Of merged ones, by their newest timestamp.';
)sql",
    // 11: sums over all objects, kept by whatever changes one. By triggers, so that agents of before keep them too. All changes are made
    // in a term (in_term), whose row they lock first, one after the other: the one row of sums holds nobody up who does not wait already.
    R"sql(
lock table yaks.objects in share row exclusive mode;
create table yaks.object_sums (
  log_id integer primary key,
  live_objects bigint not null, live_bytes bigint not null, waiting_objects bigint not null, waiting_bytes bigint not null,
  merged_objects bigint not null, merged_bytes bigint not null
) with (fillfactor = 10);
comment on table yaks.object_sums is 'Of yaks.objects: those that something refers to, of these the merged ones, and those that wait to be deleted.';
insert into yaks.object_sums
  select l.log_id,
         count(o.number) filter (where not (o.released and o.ranges = 0)),
         coalesce(sum(o.bytes) filter (where not (o.released and o.ranges = 0)), 0),
         count(o.number) filter (where o.released and o.ranges = 0),
         coalesce(sum(o.bytes) filter (where o.released and o.ranges = 0), 0),
         count(o.number) filter (where o.merged and not (o.released and o.ranges = 0)),
         coalesce(sum(o.bytes) filter (where o.merged and not (o.released and o.ranges = 0)), 0)
  from yaks.upkeep l left join yaks.objects o using (log_id) group by l.log_id;

create function yaks.add_sums(p_log_id integer, p_live_objects numeric, p_live_bytes numeric, p_waiting_objects numeric,
                              p_waiting_bytes numeric, p_merged_objects numeric, p_merged_bytes numeric)
returns void language plpgsql volatile as $function$
begin
  -- Most changes only count ranges.
  if (p_live_objects, p_live_bytes, p_waiting_objects, p_waiting_bytes, p_merged_objects, p_merged_bytes) <> (0, 0, 0, 0, 0, 0) then
    update yaks.object_sums set
      live_objects = live_objects + p_live_objects, live_bytes = live_bytes + p_live_bytes,
      waiting_objects = waiting_objects + p_waiting_objects, waiting_bytes = waiting_bytes + p_waiting_bytes,
      merged_objects = merged_objects + p_merged_objects, merged_bytes = merged_bytes + p_merged_bytes
    where log_id = p_log_id;
  end if;
end
$function$;
create function yaks.sum_objects_that_came() returns trigger language plpgsql volatile as $function$
begin
  perform yaks.add_sums(o.log_id, sum(o.sign * (1 - o.gone)), sum(o.sign * (1 - o.gone) * o.bytes), sum(o.sign * o.gone),
                        sum(o.sign * o.gone * o.bytes), sum(o.sign * (1 - o.gone) * o.merged), sum(o.sign * (1 - o.gone) * o.merged * o.bytes))
  from (select 1 as sign, log_id, bytes, (released and ranges = 0)::integer as gone, merged::integer as merged from came) o group by o.log_id;
  return null;
end
$function$;
create function yaks.sum_objects_that_went() returns trigger language plpgsql volatile as $function$
begin
  perform yaks.add_sums(o.log_id, sum(o.sign * (1 - o.gone)), sum(o.sign * (1 - o.gone) * o.bytes), sum(o.sign * o.gone),
                        sum(o.sign * o.gone * o.bytes), sum(o.sign * (1 - o.gone) * o.merged), sum(o.sign * (1 - o.gone) * o.merged * o.bytes))
  from (select -1 as sign, log_id, bytes, (released and ranges = 0)::integer as gone, merged::integer as merged from went) o group by o.log_id;
  return null;
end
$function$;
create function yaks.sum_objects_that_changed() returns trigger language plpgsql volatile as $function$
begin
  perform yaks.add_sums(o.log_id, sum(o.sign * (1 - o.gone)), sum(o.sign * (1 - o.gone) * o.bytes), sum(o.sign * o.gone),
                        sum(o.sign * o.gone * o.bytes), sum(o.sign * (1 - o.gone) * o.merged), sum(o.sign * (1 - o.gone) * o.merged * o.bytes))
  from (select 1 as sign, log_id, bytes, (released and ranges = 0)::integer as gone, merged::integer as merged from came
        union all select -1 as sign, log_id, bytes, (released and ranges = 0)::integer as gone, merged::integer as merged from went) o group by o.log_id;
  return null;
end
$function$;
create trigger objects_come after insert on yaks.objects referencing new table as came
  for each statement execute function yaks.sum_objects_that_came();
create trigger objects_go after delete on yaks.objects referencing old table as went
  for each statement execute function yaks.sum_objects_that_went();
create trigger objects_change after update on yaks.objects referencing old table as went new table as came
  for each statement execute function yaks.sum_objects_that_changed();
)sql",
};
static_assert(metadata::tail_bytes_max == 4194304, "the functions above say the same");

// Any number that others are unlikely to use: agents that start together migrate one after the other.
constexpr const char* lock_sql = "select pg_advisory_xact_lock(8746217930041)";

awaitable<int> read_version(connection& on) {
  // Not to_regclass: in a transaction that has waited for the lock it may answer from a cache that is older than the
  // wait.
  auto found = co_await on.query(
      "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
      "where n.nspname = 'yaks' and c.relname = 'schema_version'");
  if (!found.is_done()) throw metastore_error("cannot look for the schema yaks: " + found.message);
  if (found.text(0, 0) == "0") co_return 0;
  auto version = co_await on.query("select version from yaks.schema_version");
  if (!version.is_done()) throw metastore_error("cannot read yaks.schema_version: " + version.message);
  if (version.row_count() != 1)
    throw metastore_error("yaks.schema_version has no row: is this database restored completely?");
  co_return std::stoi(version.text(0, 0));
}

void refuse_newer(int version, const postgres_settings& settings) {
  if (version > schema_version())
    throw metastore_error(
        fmt::format("the schema yaks in database {} at {} has version {}, this yaks knows {}: it was migrated by a "
                    "newer yaks; start that one",
                    settings.database, where(settings), version, schema_version()));
}

awaitable<void> must(connection& on, std::string sql, parameters with, const postgres_settings& settings) {
  auto got = co_await on.query(std::move(sql), std::move(with));
  if (got.is_done()) co_return;
  auto hint = got.sqlstate == "42501"
                  ? fmt::format(": user {} may not; let its owner run `grant create on database {} to {}`",
                                settings.user, settings.database, settings.user)
                  : std::string();
  throw metastore_error(
      fmt::format("cannot migrate database {} at {}: {}{}", settings.database, where(settings), got.message, hint));
}
}  // namespace

int schema_version() {
  return int(std::size(migrations));
}

awaitable<std::string> migrate(connection& on, const postgres_settings& settings, std::string new_cluster_id) {
  auto version = co_await read_version(on);
  refuse_newer(version, settings);
  if (version < schema_version() && !settings.run_migrations) {
    if (version == 0)
      throw metastore_error(
          fmt::format("database {} at {} has no schema yaks yet: start once with YAKS_RUN_MIGRATIONS=true",
                      settings.database, where(settings)));
    throw metastore_error(
        fmt::format("the schema yaks in database {} at {} has version {}, this yaks needs {}: start once with "
                    "YAKS_RUN_MIGRATIONS=true",
                    settings.database, where(settings), version, schema_version()));
  }
  if (version < schema_version()) {
    // The commit below waits for the disk: connections set synchronous_commit. An error leaves the transaction open;
    // the connection is not used after it.
    co_await must(on, "begin isolation level read committed", {}, settings);
    co_await must(on, lock_sql, {}, settings);
    version = co_await read_version(on);  // another agent may have been first
    refuse_newer(version, settings);
    if (version == 0) {
      co_await must(on, "create schema if not exists yaks", {}, settings);
      co_await must(
          on, "create table yaks.schema_version (version integer not null); insert into yaks.schema_version values (0)",
          {}, settings);
    }
    for (int next = version; next < schema_version(); ++next) {
      spdlog::info("migrating database {} to schema version {}", settings.database, next + 1);
      co_await must(on, migrations[next], {}, settings);
    }
    if (version == 0) {
      parameters id;
      id.text(new_cluster_id);
      co_await must(on, "insert into yaks.cluster values ($1)", std::move(id), settings);
    }
    co_await must(on, fmt::format("update yaks.schema_version set version = {}", schema_version()), {}, settings);
    co_await must(on, "commit", {}, settings);
  }
  auto cluster = co_await on.query("select cluster_id from yaks.cluster");
  if (!cluster.is_done()) throw metastore_error("cannot read yaks.cluster: " + cluster.message);
  if (cluster.row_count() != 1) throw metastore_error("yaks.cluster has no row: is this database restored completely?");
  co_return cluster.text(0, 0);
}

awaitable<std::string> peer_secret(connection& on, std::string new_secret) {
  for (bool again = false;; again = true) {
    auto found = co_await on.query("select value from yaks.secrets where name = 'peers'");
    if (!found.is_done()) throw metastore_error("cannot read yaks.secrets: " + found.message);
    if (found.row_count() == 1) co_return found.text(0, 0);
    if (again) throw metastore_error("yaks.secrets does not keep what is inserted");
    parameters with;
    with.text(new_secret);
    // Where another agent was first, its secret stays.
    auto added = co_await on.query("insert into yaks.secrets values ('peers', $1) on conflict do nothing", std::move(with));
    if (!added.is_done()) throw metastore_error("cannot write yaks.secrets: " + added.message);
  }
}
}  // namespace yaks::metastores::postgres
