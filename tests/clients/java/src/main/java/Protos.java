import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.DescriptorValidationException;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.ServiceDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import com.google.protobuf.TypeRegistry;
import com.google.protobuf.util.JsonFormat;
import io.grpc.MethodDescriptor;
import io.grpc.protobuf.ProtoUtils;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** The API's messages, from a descriptor set. */
final class Protos {
  private final Map<String, FileDescriptor> files = new HashMap<>();
  private final TypeRegistry types;

  Protos(Path path) throws IOException, DescriptorValidationException {
    TypeRegistry.Builder registry = TypeRegistry.newBuilder();
    // protoc writes a file behind those that it imports.
    for (FileDescriptorProto file : FileDescriptorSet.parseFrom(Files.readAllBytes(path)).getFileList()) {
      FileDescriptor[] imports = file.getDependencyList().stream().map(files::get).toArray(FileDescriptor[]::new);
      FileDescriptor descriptor = FileDescriptor.buildFrom(file, imports);
      files.put(file.getName(), descriptor);
      registry.add(descriptor.getMessageTypes());
    }
    types = registry.build();
  }

  /** The method `package.Service/Method`, as gRPC wants it. */
  MethodDescriptor<Message, Message> method(String rpc) {
    var method = methodOf(rpc);
    return MethodDescriptor.<Message, Message>newBuilder()
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName(rpc)
        .setRequestMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(method.getInputType())))
        .setResponseMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(method.getOutputType())))
        .build();
  }

  Message request(String rpc, String json) throws IOException {
    DynamicMessage.Builder message = DynamicMessage.newBuilder(methodOf(rpc).getInputType());
    JsonFormat.parser().usingTypeRegistry(types).merge(json, message);
    return message.build();
  }

  String json(Message message) throws IOException {
    return JsonFormat.printer().usingTypeRegistry(types).print(message);
  }

  private com.google.protobuf.Descriptors.MethodDescriptor methodOf(String rpc) {
    String[] parts = rpc.split("/");
    for (FileDescriptor file : files.values()) {
      for (ServiceDescriptor service : file.getServices()) {
        if (service.getFullName().equals(parts[0])) {
          return service.findMethodByName(parts[1]);
        }
      }
    }
    throw new IllegalArgumentException(rpc + " is not known");
  }
}
