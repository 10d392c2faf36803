// Writes golden.jsonl: what protobuf-go's protojson makes of each line of inputs.jsonl.
//
//	go run . < inputs.jsonl > golden.jsonl
//
// An input names a message and holds a document. For each of the two ways in which servers read documents (whole, as
// connect-go does; lenient, as grpc-gateway does) the output has the message in binary, as hex, or null if the document
// is refused; and the message as JSON again.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const protos = "../../proto"

type input struct {
	Message string  `json:"message"`
	JSON    *string `json:"json,omitempty"`
	Base64  *string `json:"base64,omitempty"` // for documents that are no UTF-8
}

type output struct {
	input
	Whole   *string `json:"whole"`
	Lenient *string `json:"lenient"`
	Written *string `json:"written"`
}

func main() {
	messages := compile()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var in input
		check(json.Unmarshal(lines.Bytes(), &in))
		descriptor, ok := messages[in.Message]
		if !ok {
			log.Fatalf("no message %s", in.Message)
		}
		out := output{input: in}
		document := in.document()
		out.Whole, out.Written = read(descriptor, document)
		lenient := document
		var first json.RawMessage
		switch err := json.NewDecoder(bytes.NewReader(document)).Decode(&first); {
		case errors.Is(err, io.EOF):
			lenient = []byte("{}")
		case err != nil:
			lenient = nil
		default:
			lenient = first
		}
		if lenient != nil {
			var written *string
			out.Lenient, written = read(descriptor, lenient)
			if out.Written == nil {
				out.Written = written
			}
		}
		check(encoder.Encode(out))
	}
	check(lines.Err())
}

func (in input) document() []byte {
	if in.Base64 != nil {
		document, err := base64.StdEncoding.DecodeString(*in.Base64)
		check(err)
		return document
	}
	return []byte(*in.JSON)
}

func read(descriptor protoreflect.MessageDescriptor, document []byte) (binary, written *string) {
	message := dynamicpb.NewMessage(descriptor)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(document, message); err != nil {
		return nil, nil
	}
	encoded, err := (proto.MarshalOptions{Deterministic: true}).Marshal(message)
	check(err)
	text := hex.EncodeToString(encoded)
	marshalled, err := protojson.Marshal(message)
	if err != nil {
		return &text, nil
	}
	// protobuf-go varies the white space on purpose.
	var compact bytes.Buffer
	check(json.Compact(&compact, marshalled))
	again := compact.String()
	return &text, &again
}

func compile() map[string]protoreflect.MessageDescriptor {
	var files []string
	check(filepath.WalkDir(protos, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".proto") {
			relative, relativeErr := filepath.Rel(protos, path)
			files, err = append(files, relative), relativeErr
		}
		return err
	}))
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{protos}}),
	}
	compiled, err := compiler.Compile(context.Background(), files...)
	check(err)
	messages := map[string]protoreflect.MessageDescriptor{}
	for _, file := range compiled {
		for i := range file.Messages().Len() {
			message := file.Messages().Get(i)
			messages[string(message.FullName())] = message
		}
	}
	return messages
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
