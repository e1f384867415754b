// Writes the golden bytes of src/wire/testdata: every message in every version, as Apache Kafka's own classes encode it.
// usage: java -cp kafka-clients.jar:jackson-*.jar GoldenBytes.java Name:first-last ...   (without names: the error codes)
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.*;
import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.protocol.types.*;

public class GoldenBytes {
  static long counter;
  static boolean sparse;

  static String camel(String snake) {
    StringBuilder out = new StringBuilder();
    boolean up = false;
    for (char c : snake.toCharArray()) {
      if (c == '_') { up = true; continue; }
      out.append(up ? Character.toUpperCase(c) : c);
      up = false;
    }
    return out.toString();
  }

  // Full: every value is another one and none is a default. Sparse: null, zero and empty, no tagged fields.
  static JsonNode value(Type type) throws ReflectiveOperationException {
    JsonNodeFactory json = JsonNodeFactory.instance;
    String name = type.toString();
    long n = sparse ? 0 : ++counter;
    if (sparse && type instanceof NullableSchema) return json.nullNode();
    if (type instanceof Schema) return struct((Schema) type);
    if (type.arrayElementType().isPresent()) {
      if (sparse && type.isNullable()) return json.nullNode();
      ArrayNode array = json.arrayNode();
      for (int i = 0; i < (sparse ? 1 : 2); i++) array.add(value(type.arrayElementType().get()));
      return array;
    }
    switch (name) {
      case "BOOLEAN": return json.booleanNode(!sparse && n % 2 == 0);
      case "INT8": return json.numberNode((int) (byte) (n % 2 == 0 ? 20 + n % 100 : -20 - n % 100));
      case "INT16": return json.numberNode((int) (short) (sparse ? 0 : n * 0x0101));
      case "UINT16": return json.numberNode((int) (sparse ? 0 : n * 0x0307 % 65536));
      case "FLOAT64": return json.numberNode(sparse ? 0.0 : n + 0.25);
      case "INT32": return json.numberNode((int) (sparse ? 0 : n % 3 == 0 ? -1000 - n : n * 0x01020304L));
      case "INT64": return json.numberNode(sparse ? 0L : n % 3 == 0 ? -1000 - n : n * 0x0102030405060708L);
      case "UUID": return json.textNode(new org.apache.kafka.common.Uuid(sparse ? 0 : n * 0x1111111111111L, sparse ? 0 : n).toString());
      case "STRING": case "COMPACT_STRING": return json.textNode(sparse ? "" : "text-" + n + (n % 5 == 0 ? "-\u00e4\u20ac" + "x".repeat(130) : ""));
      case "NULLABLE_STRING": case "COMPACT_NULLABLE_STRING": return sparse ? json.nullNode() : json.textNode("maybe-" + n);
      case "BYTES": case "COMPACT_BYTES":
      case "RECORDS": case "COMPACT_RECORDS": case "NULLABLE_RECORDS": case "COMPACT_NULLABLE_RECORDS":
        if (sparse) return name.endsWith("BYTES") ? json.binaryNode(new byte[0]) : json.nullNode();
        byte[] bytes = new byte[(int) (60 + n % 100)];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (n + i);
        return json.binaryNode(bytes);
      default: throw new IllegalStateException("no value for type " + name);
    }
  }

  // TaggedFields.fields() is not in older jars.
  @SuppressWarnings("unchecked")
  static Collection<Field> taggedFields(Type type) throws ReflectiveOperationException {
    java.lang.reflect.Field fields = TaggedFields.class.getDeclaredField("fields");
    fields.setAccessible(true);
    return ((Map<Integer, Field>) fields.get(type)).values();
  }

  static ObjectNode struct(Schema schema) throws ReflectiveOperationException {
    ObjectNode node = JsonNodeFactory.instance.objectNode();
    for (BoundField field : schema.fields()) {
      if (field.def.type instanceof TaggedFields) {
        if (!sparse) for (Field tagged : taggedFields(field.def.type)) node.set(camel(tagged.name), value(tagged.type));
      } else node.set(camel(field.def.name), value(field.def.type));
    }
    return node;
  }

  public static void main(String[] names) throws Exception {
    if (names.length == 0)
      for (Errors error : Errors.values())
        System.out.println(error.code() + " " + error.name() + " " + (error.exception() instanceof org.apache.kafka.common.errors.RetriableException));
    for (String argument : names) {
      String[] parts = argument.split(":");
      String base = "org.apache.kafka.common.message." + parts[0] + "Data";
      Class<?> type = Class.forName(base), converter = Class.forName(base + "JsonConverter");
      Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
      String[] range = parts[1].split("-");
      for (short version = Short.parseShort(range[0]); version <= Short.parseShort(range[1]); version++) {
        for (String kind : new String[] {"full", "sparse"}) {
          counter = 10L * version;
          sparse = kind.equals("sparse");
          Message message = (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, struct(schemas[version]), version);
          ObjectSerializationCache cache = new ObjectSerializationCache();
          ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, version));
          message.write(new ByteBufferAccessor(bytes), cache, version);
          bytes.flip();
          StringBuilder hex = new StringBuilder();
          while (bytes.hasRemaining()) hex.append(String.format("%02x", bytes.get()));
          System.out.println(parts[0] + " " + version + " " + kind + " " + hex);
        }
      }
    }
  }
}
