// Sends the same five records with each compression through Apache Kafka's own producer to capture.py.
//   java -cp 'DIR-WITH-KAFKA-JARS/*' ProduceJava.java PORT
// The topic is the compression's name. The records are those of the table in golden_test.cc.
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class ProduceJava {
  static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

  public static void main(String[] arguments) throws Exception {
    long start = 1700000000000L;
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      Map<String, Object> settings = Map.of("bootstrap.servers", "127.0.0.1:" + arguments[0], "compression.type", codec,
          "linger.ms", 300);
      try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
        producer.send(new ProducerRecord<>(codec, 0, start, bytes("key-0"), bytes("value-0")));
        producer.send(new ProducerRecord<>(codec, 0, start + 5, null, bytes("no key")));
        var headers = List.<org.apache.kafka.common.header.Header>of(new RecordHeader("first", bytes("1")),
            new RecordHeader("empty", new byte[0]), new RecordHeader("f\u00fcnf", new byte[] {0, (byte) 255}));
        producer.send(new ProducerRecord<>(codec, 0, start + 3, bytes("headers"), bytes("value-2"), headers));
        producer.send(new ProducerRecord<>(codec, 0, start + 9, bytes("tombstone"), (byte[]) null));
        producer.send(new ProducerRecord<>(codec, 0, start + 9, bytes("long"), bytes("yaks carry ".repeat(400))));
      }
    }
  }
}
