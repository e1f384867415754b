// One default Java producer that always has something to send: bytes acknowledged in a window of time, as one line of JSON.
//   java -cp JARS Window.java BROKERS TOPIC PARTITIONS SECONDS WARM_UP_SECONDS [NAME=VALUE...]
import java.time.Duration;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Window {
  public static void main(String[] args) throws Exception {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    for (int i = 5; i < args.length; i++) {
      String[] property = args[i].split("=", 2);
      settings.put(property[0], property[1]);
    }
    String topic = args[1];
    int partitions = Integer.parseInt(args[2]);
    long seconds = Long.parseLong(args[3]);
    long warmUpSeconds = Long.parseLong(args[4]);
    byte[] payload = new byte[1024];
    new Random(1).nextBytes(payload);
    AtomicLong acknowledged = new AtomicLong();
    AtomicReference<Exception> failure = new AtomicReference<>();
    KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    long start = System.nanoTime() + warmUpSeconds * 1_000_000_000L;
    long end = start + seconds * 1_000_000_000L;
    long before = -1;
    // send() waits while the producer's buffer is full.
    for (long n = 0; System.nanoTime() < end && failure.get() == null; n++) {
      if (before < 0 && System.nanoTime() >= start) before = acknowledged.get();
      producer.send(new ProducerRecord<>(topic, (int) (n % partitions), null, payload), (metadata, exception) -> {
        if (exception == null) acknowledged.addAndGet(payload.length);
        else failure.compareAndSet(null, exception);
      });
    }
    double took = (System.nanoTime() - start) / 1e9;
    long bytes = acknowledged.get() - before;
    Exception failed = failure.get();
    System.out.printf("{\"bytes\": %d, \"seconds\": %.3f, \"mib_per_second\": %.2f, \"failures\": %d}%n", bytes, took,
        bytes / took / 1024 / 1024, failed == null ? 0 : 1);
    if (failed != null) System.err.println(failed);
    producer.close(Duration.ZERO);
    System.exit(failed == null && bytes > 0 ? 0 : 1);
  }
}
