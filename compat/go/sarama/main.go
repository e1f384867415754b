// sarama with its defaults, and idempotence, with what that demands. Return.Successes only makes it tell the offsets.
package main

import (
	"context"
	"errors"
	"sort"
	"sync"
	"time"

	"github.com/IBM/sarama"

	. "yaks/compat/contract"
)

func main() {
	brokers := []string{Bootstrap}
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1

	admin, err := sarama.NewClusterAdmin(brokers, config)
	Must(err, "admin")
	Must(admin.CreateTopic(Topic, &sarama.TopicDetail{NumPartitions: Partitions, ReplicationFactor: 1}, false),
		"create topic")
	Feature("create topic")
	Must(admin.Close(), "close admin")

	acknowledged := produce(brokers, config)
	counts := CheckAcknowledged(acknowledged)
	Feature("idempotent produce")

	client, err := sarama.NewClient(brokers, config)
	Must(err, "client")
	CheckConsumed(acknowledged, consume(client))
	ends := map[int]int64{}
	for p := range int32(Partitions) {
		ends[int(p)], err = client.GetOffset(Topic, p, sarama.OffsetNewest)
		Must(err, "newest offset")
	}
	CheckOffsets("offsets", "end offsets", counts, ends)

	commit(client, counts)
	CheckOffsets("commit", "committed offsets", counts, committed(client))
	Must(client.Close(), "close client")

	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	CheckGroup("classic group", acknowledged, func() Member { return join(brokers, config) }, func() Record {
		producer, err := sarama.NewSyncProducer(brokers, config)
		Must(err, "producer")
		partition, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: Topic, Value: sarama.StringEncoder("later")})
		Must(err, "one more record")
		Must(producer.Close(), "close producer")
		return Record{Partition: int(partition), Offset: offset}
	})

	OK("sarama", "github.com/IBM/sarama")
}

func produce(brokers []string, config *sarama.Config) []Record {
	producer, err := sarama.NewAsyncProducer(brokers, config)
	Must(err, "producer")
	go func() {
		for i := range Records {
			producer.Input() <- &sarama.ProducerMessage{Topic: Topic, Key: sarama.StringEncoder(Key(i)),
				Value: sarama.StringEncoder(Value(i)), Metadata: i}
		}
	}()
	var acknowledged []Record
	for len(acknowledged) < Records {
		select {
		case m := <-producer.Successes():
			acknowledged = append(acknowledged, Record{Index: m.Metadata.(int), Partition: int(m.Partition), Offset: m.Offset})
		case err := <-producer.Errors():
			Must(err, "produce")
		case <-time.After(Deadline):
			Fail("%d of %d records were acknowledged", len(acknowledged), Records)
		}
	}
	Must(producer.Close(), "close producer")
	// Partitions are acknowledged independently of each other.
	sort.Slice(acknowledged, func(a, b int) bool { return acknowledged[a].Index < acknowledged[b].Index })
	return acknowledged
}

func consume(client sarama.Client) []Record {
	consumer, err := sarama.NewConsumerFromClient(client)
	Must(err, "consumer")
	messages := make(chan *sarama.ConsumerMessage)
	for p := range int32(Partitions) {
		partition, err := consumer.ConsumePartition(Topic, p, sarama.OffsetOldest)
		Must(err, "consume partition")
		go func() {
			for m := range partition.Messages() {
				messages <- m
			}
		}()
	}
	var consumed []Record
	for len(consumed) < Records {
		select {
		case m := <-messages:
			consumed = append(consumed, Record{Partition: int(m.Partition), Offset: m.Offset, Key: string(m.Key),
				Value: string(m.Value)})
		case <-time.After(Deadline):
			Fail("%d of %d records were consumed", len(consumed), Records)
		}
	}
	return consumed
}

func commit(client sarama.Client, counts map[int]int64) {
	manager, err := sarama.NewOffsetManagerFromClient(Group, client)
	Must(err, "offset manager")
	var partitions []sarama.PartitionOffsetManager
	for p, n := range counts {
		partition, err := manager.ManagePartition(Topic, int32(p))
		Must(err, "manage partition")
		partition.MarkOffset(n, "")
		partitions = append(partitions, partition)
	}
	closeManager(manager, partitions)
}

func committed(client sarama.Client) map[int]int64 {
	manager, err := sarama.NewOffsetManagerFromClient(Group, client)
	Must(err, "offset manager")
	offsets := map[int]int64{}
	var partitions []sarama.PartitionOffsetManager
	for p := range int32(Partitions) {
		partition, err := manager.ManagePartition(Topic, p)
		Must(err, "manage partition")
		offsets[int(p)], _ = partition.NextOffset()
		partitions = append(partitions, partition)
	}
	closeManager(manager, partitions)
	return offsets
}

// closeManager commits what was marked; errors turn up in the channels of the partitions, which it closes.
func closeManager(manager sarama.OffsetManager, partitions []sarama.PartitionOffsetManager) {
	Must(manager.Close(), "close offset manager")
	for _, partition := range partitions {
		for err := range partition.Errors() {
			Must(err, "commit or fetch offsets")
		}
	}
}

type member struct {
	group   sarama.ConsumerGroup
	cancel  context.CancelFunc
	done    chan struct{}
	records chan Record
	lock    sync.Mutex
	share   []int
	session sarama.ConsumerGroupSession
}

func join(brokers []string, config *sarama.Config) *member {
	group, err := sarama.NewConsumerGroup(brokers, Group+"-members", config)
	Must(err, "member")
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: group, cancel: cancel, done: make(chan struct{}), records: make(chan Record), share: []int{}}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{Topic}, m); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				Must(err, "consume as a member")
			}
		}
	}()
	return m
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session = session
	m.share = []int{}
	for _, p := range session.Claims()[Topic] {
		m.share = append(m.share, int(p))
	}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.share = []int{}
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			select {
			case m.records <- Record{Partition: int(message.Partition), Offset: message.Offset}:
				session.MarkMessage(message, "")
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *member) Poll() []Record {
	var records []Record
	for timeout := time.After(100 * time.Millisecond); ; {
		select {
		case r := <-m.records:
			records = append(records, r)
		case <-timeout:
			return records
		}
	}
}

func (m *member) Assigned() []int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]int{}, m.share...)
}

func (m *member) Commit() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session.Commit()
}

func (m *member) Close() {
	m.cancel()
	<-m.done
	Must(m.group.Close(), "close group")
}
