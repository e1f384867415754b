// A consumer of a group with Kafka's own client: says what group_client.py says, until its standard input ends.
//
//   java -cp JARS GroupClient.java BROKERS GROUP TOPIC
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class GroupClient {
  static volatile boolean ended = false;

  static synchronized void say(String words) {
    System.out.println(words);
    System.out.flush();
  }

  static void say(String what, Collection<TopicPartition> partitions) {
    say(what + " 0 " + partitions.stream().map(p -> Integer.toString(p.partition())).collect(Collectors.joining(" ")));
  }

  public static void main(String[] arguments) throws Exception {
    Thread listens = new Thread(() -> {
      try {
        while (System.in.read() >= 0) {}
      } catch (java.io.IOException e) {
        // the same
      }
      ended = true;
    });
    listens.setDaemon(true);
    listens.start();
    Properties p = new Properties();
    p.put("bootstrap.servers", arguments[0]);
    p.put("group.id", arguments[1]);
    p.put("auto.offset.reset", "earliest");
    p.put("session.timeout.ms", "30000");
    try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      c.subscribe(List.of(arguments[2]), new ConsumerRebalanceListener() {
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
          say("assigned", partitions);
        }
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
          if (!partitions.isEmpty()) say("revoked", partitions);
        }
      });
      while (!ended) {
        var records = c.poll(Duration.ofMillis(100));
        for (var where : records.partitions()) {
          var some = records.records(where);
          long first = some.get(0).offset(), last = first - 1, stamp = 0;
          for (var r : some) {
            if (r.offset() != last + 1) {
              say("got " + where.partition() + " " + first + " " + last + " " + stamp);
              first = r.offset();
            }
            last = r.offset();
            stamp = Math.max(stamp, r.timestamp());
          }
          say("got " + where.partition() + " " + first + " " + last + " " + stamp);
        }
      }
    }
  }
}
