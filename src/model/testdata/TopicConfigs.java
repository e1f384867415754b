// Writes src/model/testdata/kafka-*.txt: what Apache Kafka's own classes say of topic and group settings.
// usage: java -cp 'kafka-storage.jar:kafka-group-coordinator.jar:kafka-clients.jar:kafka-server-common.jar:...' TopicConfigs.java
import java.util.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.storage.internals.log.LogConfig;

public class TopicConfigs {
  static void definitions(String kind, ConfigDef all) {
    for (ConfigDef.ConfigKey k : new TreeMap<>(all.configKeys()).values()) {
      if (k.internalConfig || (kind.equals("group") && !k.name.startsWith("consumer."))) continue;
      String value = k.defaultValue instanceof List<?> list ? String.join(",", list.stream().map(Object::toString).toList()) : String.valueOf(k.defaultValue);
      String synonym = kind.equals("topic") ? ServerTopicConfigSynonyms.TOPIC_CONFIG_SYNONYMS.get(k.name) : "group." + k.name;
      System.out.println(kind + " " + k.name + " " + k.type + " " + synonym + " " + value);
    }
  }

  static ConfigDef groupDefinitions() throws ReflectiveOperationException {
    for (var field : GroupConfig.class.getDeclaredFields())
      if (field.getType() == ConfigDef.class) {
        field.setAccessible(true);
        return (ConfigDef) field.get(null);
      }
    throw new IllegalStateException();
  }

  public static void main(String[] none) throws Exception {
    definitions("topic", LogConfig.configDefCopy());
    definitions("group", groupDefinitions());
    String[] values = {"", " ", "-1", "-2", "-3", "0", "1", "3", "4", "9", "10", "13", "17", "18", "22", "23", "1048575", "1048576", "2147483647",
        "2147483648", "9223372036854775807", "9223372036854775808", "-131072", "-131073", "+5", "05", " 7 ", "1e3", "0.5", "1.0", "1.5", "-0.1", "true",
        "false", "TRUE", "yes", "delete", "compact", "compact,delete", "delete, compact", "delete,delete", "Delete", "shrink", "producer", "gzip",
        "GZIP", "zstd", "lz4", "snappy", "uncompressed", "none", "CreateTime", "LogAppendTime", "logappendtime", "0:1,1:2", "*"};
    List<String> names = new ArrayList<>(new TreeSet<>(LogConfig.configDefCopy().configKeys().keySet()));
    names.remove("internal.segment.bytes");
    for (String name : names) {
      StringBuilder accepted = new StringBuilder(), refused = new StringBuilder();
      for (String value : values) {
        try {
          LogConfig.validate(Map.of(name, value));
          accepted.append("|").append(value);
        } catch (Exception e) {
          refused.append("|").append(value);
        }
      }
      System.out.println("accepts " + name + " " + accepted);
      System.out.println("refuses " + name + " " + refused);
    }
  }
}
