package main

import (
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// protos are the API's messages, from a descriptor set.
type protos struct {
	files *protoregistry.Files
	types *dynamicpb.Types
}

func readProtos(path string) (protos, error) {
	encoded, err := os.ReadFile(path)
	if err != nil {
		return protos{}, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(encoded, &set); err != nil {
		return protos{}, err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return protos{}, err
	}
	return protos{files, dynamicpb.NewTypes(files)}, nil
}

// messagesOf returns an empty request and an empty reply of an RPC, `package.Service/Method`.
func (p protos) messagesOf(rpc string) (request, reply proto.Message, err error) {
	name := protoreflect.FullName(strings.Replace(rpc, "/", ".", 1))
	descriptor, err := p.files.FindDescriptorByName(name)
	if err != nil {
		return nil, nil, err
	}
	method := descriptor.(protoreflect.MethodDescriptor)
	return dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output()), nil
}

func (p protos) parse(json []byte, message proto.Message) error {
	return protojson.UnmarshalOptions{Resolver: p.types}.Unmarshal(json, message)
}

func (p protos) print(message proto.Message) ([]byte, error) {
	return protojson.MarshalOptions{Resolver: p.types}.Marshal(message)
}
