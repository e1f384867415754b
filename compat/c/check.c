/* librdkafka through its C interface, in the version that the system has. Its defaults, and idempotence. */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { partitions = 3, records = 100, deadline_s = 30 };

static const char* bootstrap;
static const char* topic;
static char error_text[512];

static void check(bool holds, const char* format, ...) {
  if (holds) return;
  va_list arguments;
  va_start(arguments, format);
  fputs("FAILED: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static void must(rd_kafka_resp_err_t error, const char* what) {
  check(!error, "%s: %s", what, rd_kafka_err2str(error));
}

static void feature(const char* name) {
  printf("feature: %s\n", name);
  fflush(stdout);
}

static time_t deadline(void) {
  return time(NULL) + deadline_s;
}

static void set(rd_kafka_conf_t* conf, const char* name, const char* value) {
  check(rd_kafka_conf_set(conf, name, value, error_text, sizeof error_text) == RD_KAFKA_CONF_OK, "%s: %s", name,
        error_text);
}

static rd_kafka_conf_t* settings(void) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  return conf;
}

static rd_kafka_t* client(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
  rd_kafka_t* handle = rd_kafka_new(type, conf, error_text, sizeof error_text);
  check(handle != NULL, "rd_kafka_new: %s", error_text);
  return handle;
}

/* --- produce ---------------------------------------------------------------------------------- */

struct place {
  int partition;
  int64_t offset;
};
static struct place places[records];
static int acknowledged;
static int64_t ends[partitions];

static void delivered(rd_kafka_t* handle, const rd_kafka_message_t* message, void* opaque) {
  (void)handle;
  (void)opaque;
  must(message->err, "delivery");
  struct place* place = message->_private;
  *place = (struct place){message->partition, message->offset};
  acknowledged++;
}

static rd_kafka_t* producer(void) {
  rd_kafka_conf_t* conf = settings();
  set(conf, "enable.idempotence", "true");
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  return client(RD_KAFKA_PRODUCER, conf);
}

static void create_topic(rd_kafka_t* handle) {
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic, partitions, 1, error_text, sizeof error_text);
  check(wanted != NULL, "NewTopic: %s", error_text);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(handle);
  rd_kafka_CreateTopics(handle, &wanted, 1, NULL, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, deadline_s * 1000);
  check(event != NULL, "CreateTopics: no answer");
  must(rd_kafka_event_error(event), "CreateTopics");
  size_t count;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  check(count == 1, "CreateTopics: %zu results", count);
  must(rd_kafka_topic_result_error(results[0]), "CreateTopics");
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(wanted);
  feature("create topic");
}

static void produce(rd_kafka_t* handle, int i, const char* key, char* value) {
  must(rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, strlen(key)),
                         RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                         RD_KAFKA_V_OPAQUE(&places[i]), RD_KAFKA_V_END),
       "produce");
}

static void produce_all(rd_kafka_t* handle) {
  char key[32], value[32];
  for (int i = 0; i < records; i++) {
    snprintf(key, sizeof key, "key-%d", i);
    snprintf(value, sizeof value, "value-%d", i);
    produce(handle, i, key, value);
  }
  must(rd_kafka_flush(handle, deadline_s * 1000), "flush");
  check(acknowledged == records, "%d of %d records were acknowledged", acknowledged, records);
  for (int i = 0; i < records; i++) {
    check(places[i].partition >= 0 && places[i].partition < partitions, "partition %d", places[i].partition);
    int64_t expected = ends[places[i].partition]++;
    check(places[i].offset == expected, "record %d has offset %lld instead of %lld", i, (long long)places[i].offset,
          (long long)expected);
  }
  for (int p = 0; p < partitions; p++) check(ends[p] > 0, "partition %d got no record", p);
  feature("idempotent produce");
}

/* --- consume and commit ----------------------------------------------------------------------- */

static rd_kafka_t* consumer(const char* suffix, bool earliest) {
  rd_kafka_conf_t* conf = settings();
  char group[300];
  snprintf(group, sizeof group, "%s-%s", topic, suffix);
  set(conf, "group.id", group);
  set(conf, "enable.auto.commit", "false");
  if (earliest) set(conf, "auto.offset.reset", "earliest");
  rd_kafka_t* handle = client(RD_KAFKA_CONSUMER, conf);
  must(rd_kafka_poll_set_consumer(handle), "poll_set_consumer");
  return handle;
}

static rd_kafka_topic_partition_list_t* list(const int64_t* offsets) {
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions);
  for (int p = 0; p < partitions; p++)
    rd_kafka_topic_partition_list_add(all, topic, p)->offset = offsets ? offsets[p] : 0;
  return all;
}

static int index_at(int partition, int64_t offset) {
  for (int i = 0; i < records; i++)
    if (places[i].partition == partition && places[i].offset == offset) return i;
  return -1;
}

static void consume_and_commit(void) {
  rd_kafka_t* handle = consumer("group", false);
  rd_kafka_topic_partition_list_t* all = list(NULL);
  must(rd_kafka_assign(handle, all), "assign");
  int64_t next[partitions] = {0};
  char key[32], value[32];
  int consumed = 0;
  for (time_t end = deadline(); consumed < records && time(NULL) < end;) {
    rd_kafka_message_t* m = rd_kafka_consumer_poll(handle, 500);
    if (m == NULL) continue;
    must(m->err, "consume");
    check(m->offset == next[m->partition]++, "partition %d: consumed offset %lld", m->partition, (long long)m->offset);
    int i = index_at(m->partition, m->offset);
    snprintf(key, sizeof key, "key-%d", i);
    snprintf(value, sizeof value, "value-%d", i);
    check(m->key_len == strlen(key) && !memcmp(m->key, key, m->key_len) && m->len == strlen(value) &&
              !memcmp(m->payload, value, m->len),
          "partition %d offset %lld is not record %d", m->partition, (long long)m->offset, i);
    rd_kafka_message_destroy(m);
    consumed++;
  }
  check(consumed == records, "%d of %d records were consumed", consumed, records);
  feature("consume");
  for (int p = 0; p < partitions; p++) {
    int64_t low, high;
    must(rd_kafka_query_watermark_offsets(handle, topic, p, &low, &high, deadline_s * 1000), "watermarks");
    check(low == 0 && high == ends[p], "partition %d: watermarks %lld and %lld", p, (long long)low, (long long)high);
  }
  /* The first record that is not older than this: the first of all. And of a time to come: the end. */
  for (int later = 0; later < 2; later++) {
    for (int p = 0; p < partitions; p++) all->elems[p].offset = ((int64_t)time(NULL) + (later ? 3600 : -3600)) * 1000;
    must(rd_kafka_offsets_for_times(handle, all, deadline_s * 1000), "offsets for times");
    for (int p = 0; p < partitions; p++)
      check(all->elems[p].offset == (later ? RD_KAFKA_OFFSET_END : 0), "partition %d: offset by time %lld", p,
            (long long)all->elems[p].offset);
  }
  feature("offsets");

  rd_kafka_topic_partition_list_t* commits = list(ends);
  for (int p = 0; p < partitions; p++) {
    commits->elems[p].metadata = strdup("as committed");
    commits->elems[p].metadata_size = strlen("as committed");
  }
  must(rd_kafka_commit(handle, commits, 0), "commit");
  must(rd_kafka_consumer_close(handle), "close");
  rd_kafka_topic_partition_list_destroy(commits);
  rd_kafka_destroy(handle);

  handle = consumer("group", false);
  must(rd_kafka_committed(handle, all, deadline_s * 1000), "committed");
  for (int p = 0; p < partitions; p++) {
    must(all->elems[p].err, "committed");
    check(all->elems[p].offset == ends[p] && all->elems[p].metadata_size == 12 &&
              !memcmp(all->elems[p].metadata, "as committed", 12),
          "partition %d: committed %lld", p, (long long)all->elems[p].offset);
  }
  must(rd_kafka_consumer_close(handle), "close");
  rd_kafka_destroy(handle);
  rd_kafka_topic_partition_list_destroy(all);
  feature("commit");
}

/* --- a group ---------------------------------------------------------------------------------- */

struct member {
  rd_kafka_t* handle;
  bool owns[partitions];
  int64_t next[partitions];
  int read;
};

static struct member join(void) {
  struct member m = {.handle = consumer("members", true)};
  rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
  must(rd_kafka_subscribe(m.handle, topics), "subscribe");
  rd_kafka_topic_partition_list_destroy(topics);
  return m;
}

static void poll(struct member* m, int timeout_ms) {
  rd_kafka_message_t* message = rd_kafka_consumer_poll(m->handle, timeout_ms);
  if (message != NULL) {
    must(message->err, "consume as a member");
    m->next[message->partition] = message->offset + 1;
    m->read++;
    rd_kafka_message_destroy(message);
  }
  rd_kafka_topic_partition_list_t* mine;
  must(rd_kafka_assignment(m->handle, &mine), "assignment");
  memset(m->owns, 0, sizeof m->owns);
  for (int i = 0; i < mine->cnt; i++) m->owns[mine->elems[i].partition] = true;
  rd_kafka_topic_partition_list_destroy(mine);
}

static void leave(struct member* m) {
  rd_kafka_resp_err_t error = rd_kafka_commit(m->handle, NULL, 0);
  /* Who owns nothing has nothing to commit. */
  check(!error || error == RD_KAFKA_RESP_ERR__NO_OFFSET, "commit as a member: %s", rd_kafka_err2str(error));
  must(rd_kafka_consumer_close(m->handle), "leave");
  rd_kafka_destroy(m->handle);
}

static bool have_read(const struct member* a, const struct member* b) {
  int shares[2] = {0};
  for (int p = 0; p < partitions; p++) {
    if (a->owns[p] == b->owns[p]) return false;
    const struct member* owner = a->owns[p] ? a : b;
    shares[owner == b]++;
    if (owner->next[p] != ends[p]) return false;
  }
  return shares[0] && shares[1];
}

static void check_group(rd_kafka_t* handle) {
  struct member a = join(), b = join();
  time_t end = deadline();
  while (!have_read(&a, &b) && time(NULL) < end) {
    poll(&a, 20);
    poll(&b, 20);
  }
  check(have_read(&a, &b), "two members do not share the partitions and read everything: read %d and %d", a.read,
        b.read);
  leave(&a);
  leave(&b);
  char later[] = "later";
  produce(handle, 0, "key", later);
  must(rd_kafka_flush(handle, deadline_s * 1000), "flush");
  struct member last = join();
  for (end = deadline(); !last.read && time(NULL) < end;) poll(&last, 100);
  check(last.read == 1 && last.next[places[0].partition] == places[0].offset + 1,
        "who joined after the commits read %d records", last.read);
  leave(&last);
  feature("classic group");
}

int main(void) {
  bootstrap = getenv("BOOTSTRAP");
  topic = getenv("TOPIC");
  check(bootstrap && topic, "BOOTSTRAP and TOPIC are not set");
  rd_kafka_t* handle = producer();
  create_topic(handle);
  produce_all(handle);
  consume_and_commit();
  check_group(handle);
  rd_kafka_destroy(handle);
  printf("client=librdkafka version=%s ok\n", rd_kafka_version_str());
  return 0;
}
