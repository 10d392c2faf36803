import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.internal.GrpcUtil;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Plays the scenarios by grpc-java, with messages made from a descriptor set, in cleartext and with TLS.
 *
 * <p>Arguments: the addresses of a server in cleartext and of one with TLS, and the file of the descriptor set. It is run in
 * the root of the repository. The environment: ROWS.
 */
public final class Main {
  private static final int DEADLINE_SECONDS = 60;

  public static void main(String[] arguments) throws Exception {
    Protos protos = new Protos(Path.of(arguments[2]));
    String scenarios = Files.readString(Path.of("tests/clients/scenarios.json"));
    var certificate = GrpcSslContexts.forClient().trustManager(new File("tests/tls/certificate.pem")).build();
    Map<String, ManagedChannel> channels = new LinkedHashMap<>();
    channels.put("gRPC", NettyChannelBuilder.forTarget(arguments[0]).usePlaintext().build());
    channels.put("gRPC, TLS", NettyChannelBuilder.forTarget(arguments[1]).sslContext(certificate).build());

    int transports = 0;
    int failures = 0;
    for (var transport : channels.entrySet()) {
      long started = System.nanoTime();
      int passed = 0;
      int failed = 0;
      for (Step step : Step.all(scenarios, "org-" + transports++)) {
        JsonObject got = play(step, transport.getValue(), protos);
        if (got.equals(step.want())) {
          passed++;
        } else {
          failed++;
          System.out.printf(
              "grpc-java, %s: %s: got %.1000s, want %.1000s%n", transport.getKey(), step.name(), got, step.want());
        }
      }
      String row =
          String.format(
              "grpc-java\t%s\t%s\ttoken\t%d/%d\t%.1f\t%n",
              GrpcUtil.getGrpcBuildVersion().getImplementationVersion(),
              transport.getKey(),
              passed,
              passed + failed,
              (System.nanoTime() - started) / 1e9);
      Files.writeString(Path.of(System.getenv("ROWS")), row, StandardOpenOption.APPEND);
      failures += failed;
      transport.getValue().shutdownNow();
    }
    System.exit(failures > 0 ? 1 : 0);
  }

  /** What a step comes to, as the scenarios write it. */
  private static JsonObject play(Step step, Channel channel, Protos protos) throws IOException {
    JsonObject outcome = new JsonObject();
    try {
      var reply =
          ClientCalls.blockingUnaryCall(
              ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(step.headers())),
              protos.method(step.rpc()),
              CallOptions.DEFAULT.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS),
              protos.request(step.rpc(), step.message()));
      outcome.add("reply", Step.maskTimes(JsonParser.parseString(protos.json(reply))));
    } catch (StatusRuntimeException error) {
      outcome.add("error", error(error, protos));
    }
    return outcome;
  }

  /** An error as the scenarios write it; the whole of its status, where something in it does not belong together. */
  private static JsonObject error(StatusRuntimeException error, Protos protos) throws IOException {
    JsonObject status = JsonParser.parseString(protos.json(StatusProto.fromThrowable(error))).getAsJsonObject();
    JsonArray details = status.getAsJsonArray("details");
    String message = status.get("message").getAsString();
    JsonObject written = new JsonObject();
    written.add("code", status.get("code"));
    if (details == null) {
      written.addProperty("text", message);
      return written;
    }
    JsonObject detail = details.get(0).getAsJsonObject();
    String id = detail.get("id").getAsString();
    String text = detail.get("message").getAsString();
    boolean whole =
        details.size() == 1
            && detail.get("@type").getAsString().equals("type.googleapis.com/zitadel.v1.ErrorDetail")
            && message.equals(text + " (" + id + ")")
            && message.equals(error.getStatus().getDescription());
    written.addProperty("text", text);
    written.addProperty("id", id);
    return whole ? written : status;
  }
}
