// Sends the same five records with each compression through a Go client to capture.py.
//
//	produce_go CLIENT PORT     CLIENT: sarama, franz-go or kafka-go
//
// The topic is the compression's name. The records are those of the table in golden_test.cc.
package main

import (
	"context"
	"log"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"
	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type record struct {
	key, value []byte
	at         time.Time
	headers    [][2]string
}

func records() []record {
	start := int64(1700000000000)
	at := func(d int64) time.Time { return time.UnixMilli(start + d) }
	return []record{{[]byte("key-0"), []byte("value-0"), at(0), nil}, {nil, []byte("no key"), at(5), nil},
		{[]byte("headers"), []byte("value-2"), at(3), [][2]string{{"first", "1"}, {"empty", ""}, {"f\u00fcnf", "\x00\xff"}}},
		{[]byte("tombstone"), nil, at(9), nil}, {[]byte("long"), []byte(strings.Repeat("yaks carry ", 400)), at(9), nil}}
}
func main() {
	broker := "127.0.0.1:" + os.Args[2]
	for i, c := range codecs {
		switch os.Args[1] {
		case "sarama":
			cfg := sarama.NewConfig()
			cfg.Version = sarama.V2_1_0_0
			cfg.Producer.Return.Successes = true
			cfg.Producer.Compression = sarama.CompressionCodec(i)
			cfg.Producer.Partitioner = sarama.NewManualPartitioner
			cfg.Producer.Flush.Messages = 5
			cfg.Producer.Flush.Frequency = 300 * time.Millisecond
			p, err := sarama.NewSyncProducer([]string{broker}, cfg)
			must(err)
			var ms []*sarama.ProducerMessage
			for _, r := range records() {
				m := &sarama.ProducerMessage{Topic: c, Timestamp: r.at}
				if r.key != nil {
					m.Key = sarama.ByteEncoder(r.key)
				}
				if r.value != nil {
					m.Value = sarama.ByteEncoder(r.value)
				}
				for _, h := range r.headers {
					m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h[0]), Value: []byte(h[1])})
				}
				ms = append(ms, m)
			}
			must(p.SendMessages(ms))
			p.Close()
		case "franz-go":
			cc := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}[i]
			cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerBatchCompression(cc), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(300*time.Millisecond))
			must(err)
			var rs []*kgo.Record
			for _, r := range records() {
				x := &kgo.Record{Topic: c, Key: r.key, Value: r.value, Timestamp: r.at}
				for _, h := range r.headers {
					x.Headers = append(x.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
				}
				rs = append(rs, x)
			}
			must(cl.ProduceSync(context.Background(), rs...).FirstErr())
			cl.Close()
		case "kafka-go":
			w := &kafka.Writer{Addr: kafka.TCP(broker), Topic: c, Compression: compress.Compression(i), BatchSize: 5, BatchTimeout: 300 * time.Millisecond, Balancer: kafka.BalancerFunc(func(kafka.Message, ...int) int { return 0 })}
			var ms []kafka.Message
			for _, r := range records() {
				m := kafka.Message{Key: r.key, Value: r.value, Time: r.at}
				for _, h := range r.headers {
					m.Headers = append(m.Headers, kafka.Header{Key: h[0], Value: []byte(h[1])})
				}
				ms = append(ms, m)
			}
			must(w.WriteMessages(context.Background(), ms...))
			w.Close()
		}
		log.Println(os.Args[1], c, "ok")
	}
}
