import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.Metadata;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Pattern;

/** A call, and what it must come to. */
record Step(String name, String rpc, String message, Metadata headers, JsonObject want) {
  private static final Pattern ZEROS = Pattern.compile("\\$BYTES\\((\\d+)\\)");

  /** All steps, as they are for an organization. */
  static List<Step> all(String scenarios, String organization) {
    String text =
        ZEROS.matcher(scenarios.replace("$ORG", organization))
            .replaceAll(found -> Base64.getEncoder().encodeToString(new byte[Integer.parseInt(found.group(1))]));
    List<Step> steps = new ArrayList<>();
    for (JsonElement element : JsonParser.parseString(text).getAsJsonArray()) {
      JsonObject step = element.getAsJsonObject();
      JsonObject want = new JsonObject();
      String kind = step.has("error") ? "error" : "reply";
      want.add(kind, step.get(kind));
      steps.add(
          new Step(
              step.get("name").getAsString(),
              step.get("rpc").getAsString(),
              step.get("message").toString(),
              headers(step, organization),
              want));
    }
    return steps;
  }

  private static Metadata headers(JsonObject step, String organization) {
    Metadata headers = new Metadata();
    put(headers, "authorization", "Bearer ", step, "token", "owner");
    put(headers, "x-zitadel-orgid", "", step, "organization", organization);
    put(headers, "accept-language", "", step, "language", null);
    return headers;
  }

  /** A header from a member of a step; `null` there is no header. */
  private static void put(Metadata headers, String name, String prefix, JsonObject step, String member, String absent) {
    String value = absent;
    if (step.has(member)) {
      value = step.get(member).isJsonNull() ? null : step.get(member).getAsString();
    }
    if (value != null) {
      headers.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), prefix + value);
    }
  }

  /** A document with its times hidden. */
  static JsonElement maskTimes(JsonElement value) {
    if (value.isJsonObject()) {
      for (var member : value.getAsJsonObject().entrySet()) {
        if (member.getKey().endsWith("Date") || member.getKey().endsWith("Timestamp")) {
          value.getAsJsonObject().addProperty(member.getKey(), "$TIME");
        } else {
          maskTimes(member.getValue());
        }
      }
    } else if (value.isJsonArray()) {
      value.getAsJsonArray().forEach(Step::maskTimes);
    }
    return value;
  }
}
