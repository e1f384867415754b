// franz-go with its defaults, which include idempotence.
package main

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	. "yaks/compat/contract"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*Deadline)
	defer cancel()

	producer, err := kgo.NewClient(kgo.SeedBrokers(Bootstrap))
	Must(err, "producer")
	admin := kadm.NewClient(producer)
	_, err = admin.CreateTopic(ctx, Partitions, -1, nil, Topic)
	Must(err, "create topic")
	Feature("create topic")

	records := make([]*kgo.Record, Records)
	for i := range records {
		records[i] = &kgo.Record{Topic: Topic, Key: []byte(Key(i)), Value: []byte(Value(i))}
	}
	Must(producer.ProduceSync(ctx, records...).FirstErr(), "produce")
	acknowledged := make([]Record, Records)
	for i, r := range records {
		acknowledged[i] = Record{Index: i, Partition: int(r.Partition), Offset: r.Offset}
	}
	counts := CheckAcknowledged(acknowledged)
	Feature("idempotent produce")

	assigned := map[int32]kgo.Offset{}
	for p := range int32(Partitions) {
		assigned[p] = kgo.NewOffset().AtStart()
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(Bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{Topic: assigned}))
	Must(err, "consumer")
	var consumed []Record
	for len(consumed) < Records {
		fetches := consumer.PollFetches(ctx)
		Must(fetches.Err(), "fetch")
		fetches.EachError(func(_ string, _ int32, err error) { Must(err, "fetch") })
		fetches.EachRecord(func(r *kgo.Record) {
			consumed = append(consumed, Record{Partition: int(r.Partition), Offset: r.Offset, Key: string(r.Key),
				Value: string(r.Value)})
		})
	}
	CheckConsumed(acknowledged, consumed)
	consumer.Close()

	listed, err := admin.ListEndOffsets(ctx, Topic)
	Must(err, "list end offsets")
	ends := map[int]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		Must(o.Err, "list end offsets")
		ends[int(o.Partition)] = o.Offset
	})
	CheckOffsets("offsets", "end offsets", counts, ends)

	commits := kadm.Offsets{}
	for p, n := range counts {
		commits.AddOffset(Topic, int32(p), n, -1)
	}
	Must(admin.CommitAllOffsets(ctx, Group, commits), "commit offsets")
	fetched, err := admin.FetchOffsets(ctx, Group)
	Must(err, "fetch offsets")
	committed := map[int]int64{}
	fetched.Each(func(o kadm.OffsetResponse) {
		Must(o.Err, "fetch offsets")
		committed[int(o.Partition)] = o.At
	})
	CheckOffsets("commit", "committed offsets", counts, committed)
	produceOne := func() Record {
		one := &kgo.Record{Topic: Topic, Value: []byte("later")}
		Must(producer.ProduceSync(ctx, one).FirstErr(), "one more record")
		record := Record{Partition: int(one.Partition), Offset: one.Offset}
		acknowledged = append(acknowledged, record)
		return record
	}
	CheckGroup("classic group", acknowledged, func() Member { return join(ctx, "classic") }, produceOne)
	CheckGroup("consumer group (KIP-848)", acknowledged, func() Member {
		return join(ctx, "consumer", kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}, produceOne)
	producer.Close()

	OK("franz-go", "github.com/twmb/franz-go")
}

type member struct {
	ctx    context.Context
	client *kgo.Client
	lock   sync.Mutex
	share  map[int]bool
}

func join(ctx context.Context, protocol string, more ...kgo.Opt) *member {
	m := &member{ctx: ctx, share: map[int]bool{}}
	change := func(owned bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.lock.Lock()
			defer m.lock.Unlock()
			for _, p := range partitions[Topic] {
				m.share[int(p)] = owned
			}
		}
	}
	options := append(more, kgo.SeedBrokers(Bootstrap), kgo.ConsumerGroup(Group+"-"+protocol), kgo.ConsumeTopics(Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))
	client, err := kgo.NewClient(options...)
	Must(err, "member")
	m.client = client
	return m
}

func (m *member) Poll() []Record {
	ctx, cancel := context.WithTimeout(m.ctx, 100*time.Millisecond)
	defer cancel()
	var records []Record
	m.client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
		records = append(records, Record{Partition: int(r.Partition), Offset: r.Offset})
	})
	return records
}

func (m *member) Assigned() []int {
	m.lock.Lock()
	defer m.lock.Unlock()
	share := []int{}
	for p, owned := range m.share {
		if owned {
			share = append(share, p)
		}
	}
	return share
}

func (m *member) Commit() { Must(m.client.CommitUncommittedOffsets(m.ctx), "commit as a member") }
func (m *member) Close()  { m.client.Close() }
