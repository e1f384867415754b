// sarama with its defaults. Return.Successes only makes it tell the offsets.
package main

import (
	"sort"
	"time"

	"github.com/IBM/sarama"

	. "yaks/compat/contract"
)

func main() {
	brokers := []string{Bootstrap}
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true

	admin, err := sarama.NewClusterAdmin(brokers, config)
	Must(err, "admin")
	Must(admin.CreateTopic(Topic, &sarama.TopicDetail{NumPartitions: Partitions, ReplicationFactor: 1}, false),
		"create topic")
	Must(admin.Close(), "close admin")

	acknowledged := produce(brokers, config)
	counts := CheckAcknowledged(acknowledged)

	client, err := sarama.NewClient(brokers, config)
	Must(err, "client")
	CheckConsumed(acknowledged, consume(client))
	ends := map[int]int64{}
	for p := range int32(Partitions) {
		ends[int(p)], err = client.GetOffset(Topic, p, sarama.OffsetNewest)
		Must(err, "newest offset")
	}
	CheckOffsets("end offsets", counts, ends)

	commit(client, counts)
	CheckOffsets("committed offsets", counts, committed(client))
	Must(client.Close(), "close client")

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
