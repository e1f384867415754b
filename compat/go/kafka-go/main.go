// segmentio/kafka-go. Its writer's default is acks 0, where a broker tells no offsets: the records whose offsets are
// checked are written with acks all, and a second topic gets as many with the default.
package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	. "yaks/compat/contract"
)

var client = &kafka.Client{Addr: kafka.TCP(Bootstrap), Timeout: Deadline}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*Deadline)
	defer cancel()
	unacknowledged := Topic + "-acks-0"
	createTopics(ctx, Topic, unacknowledged)
	Feature("create topic")

	acknowledged := produce(ctx)
	counts := CheckAcknowledged(acknowledged)
	Feature("produce")
	CheckConsumed(acknowledged, consume(ctx, counts))
	CheckOffsets("offsets", "end offsets", counts, endOffsets(ctx, Topic))

	writer := &kafka.Writer{Addr: kafka.TCP(Bootstrap), Topic: unacknowledged}
	Must(writer.WriteMessages(ctx, messages()...), "write with acks 0")
	Must(writer.Close(), "close writer")
	awaitRecords(ctx, unacknowledged)
	Feature("produce with acks 0")

	commit(ctx, counts)
	CheckOffsets("commit", "committed offsets", counts, committed(ctx))

	CheckGroup("classic group", acknowledged, func() Member { return join(ctx) }, func() Record {
		var record Record
		one := &kafka.Writer{Addr: kafka.TCP(Bootstrap), Topic: Topic, RequiredAcks: kafka.RequireAll,
			Completion: func(messages []kafka.Message, err error) {
				Must(err, "one more record")
				record = Record{Partition: messages[0].Partition, Offset: messages[0].Offset}
			}}
		Must(one.WriteMessages(ctx, kafka.Message{Value: []byte("later")}), "one more record")
		Must(one.Close(), "close writer")
		return record
	})

	OK("kafka-go", "github.com/segmentio/kafka-go")
}

func createTopics(ctx context.Context, topics ...string) {
	var configs []kafka.TopicConfig
	for _, topic := range topics {
		configs = append(configs, kafka.TopicConfig{Topic: topic, NumPartitions: Partitions, ReplicationFactor: 1})
	}
	answer, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: configs})
	Must(err, "create topics")
	for topic, err := range answer.Errors {
		Must(err, "create topic "+topic)
	}
}

func messages() []kafka.Message {
	messages := make([]kafka.Message, Records)
	for i := range messages {
		messages[i] = kafka.Message{Key: []byte(Key(i)), Value: []byte(Value(i))}
	}
	return messages
}

func produce(ctx context.Context) []Record {
	var lock sync.Mutex
	acknowledged := make([]Record, 0, Records)
	byIndex := map[int]Record{}
	writer := &kafka.Writer{
		Addr: kafka.TCP(Bootstrap), Topic: Topic, RequiredAcks: kafka.RequireAll,
		Completion: func(messages []kafka.Message, err error) {
			Must(err, "produce")
			lock.Lock()
			defer lock.Unlock()
			for _, m := range messages {
				i, err := strconv.Atoi(strings.TrimPrefix(string(m.Key), "key-"))
				Must(err, "key of an acknowledged record")
				byIndex[i] = Record{Index: i, Partition: m.Partition, Offset: m.Offset}
			}
		},
	}
	Must(writer.WriteMessages(ctx, messages()...), "produce")
	// Close waits for the completions that are still running.
	Must(writer.Close(), "close writer")
	for i := range Records {
		record, found := byIndex[i]
		Check(found, "record %d was not acknowledged", i)
		acknowledged = append(acknowledged, record)
	}
	return acknowledged
}

func consume(ctx context.Context, counts map[int]int64) []Record {
	var consumed []Record
	for p := range Partitions {
		// Not closed: that would wait for the reader's long poll of 10 s, and the program ends soon.
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{Bootstrap}, Topic: Topic, Partition: p})
		for range counts[p] {
			m, err := reader.ReadMessage(ctx)
			Must(err, "read")
			consumed = append(consumed, Record{Partition: m.Partition, Offset: m.Offset, Key: string(m.Key),
				Value: string(m.Value)})
		}
	}
	return consumed
}

func endOffsets(ctx context.Context, topic string) map[int]int64 {
	var requests []kafka.OffsetRequest
	for p := range Partitions {
		requests = append(requests, kafka.LastOffsetOf(p))
	}
	answer, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	Must(err, "list offsets")
	ends := map[int]int64{}
	for _, p := range answer.Topics[topic] {
		Must(p.Error, "list offsets")
		ends[p.Partition] = p.LastOffset
	}
	return ends
}

// awaitRecords waits until all records of a topic that nobody acknowledged are there, and no more than these.
func awaitRecords(ctx context.Context, topic string) {
	for {
		var sum int64
		for _, end := range endOffsets(ctx, topic) {
			sum += end
		}
		Check(sum <= Records, "%d records were written with acks 0, and %d are there", Records, sum)
		if sum == Records {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			Fail("%d records were written with acks 0, and only %d are there", Records, sum)
		}
	}
}

func commit(ctx context.Context, counts map[int]int64) {
	var commits []kafka.OffsetCommit
	for p, n := range counts {
		commits = append(commits, kafka.OffsetCommit{Partition: p, Offset: n})
	}
	answer, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: Group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{Topic: commits}})
	Must(err, "commit offsets")
	Check(len(answer.Topics[Topic]) == Partitions, "the answer to the commit is %v", fmt.Sprint(answer.Topics))
	for _, p := range answer.Topics[Topic] {
		Must(p.Error, "commit offsets")
	}
}

func committed(ctx context.Context) map[int]int64 {
	answer, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: Group,
		Topics: map[string][]int{Topic: {0, 1, 2}}})
	Must(err, "fetch offsets")
	Must(answer.Error, "fetch offsets")
	offsets := map[int]int64{}
	for _, p := range answer.Topics[Topic] {
		Must(p.Error, "fetch offsets")
		offsets[p.Partition] = p.CommittedOffset
	}
	return offsets
}

// member commits each message that it reads, as its ReadMessage does by default. It does not tell its partitions.
type member struct {
	ctx    context.Context
	reader *kafka.Reader
}

func join(ctx context.Context) *member {
	return &member{ctx, kafka.NewReader(kafka.ReaderConfig{Brokers: []string{Bootstrap}, GroupID: Group + "-members", Topic: Topic,
		StartOffset: kafka.FirstOffset, MaxWait: time.Second})}
}

func (m *member) Poll() []Record {
	ctx, cancel := context.WithTimeout(m.ctx, 100*time.Millisecond)
	defer cancel()
	message, err := m.reader.FetchMessage(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	Must(err, "read as a member")
	Must(m.reader.CommitMessages(m.ctx, message), "commit as a member")
	return []Record{{Partition: message.Partition, Offset: message.Offset}}
}

func (m *member) Assigned() []int { return nil }
func (m *member) Commit()         {}
func (m *member) Close()          { Must(m.reader.Close(), "close reader") }
