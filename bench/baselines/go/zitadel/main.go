// Zitadel is grpc-go, grpc-gateway and improbable's grpc-web on one free port, which it says on stdout, put together as
// ZITADEL does: grpc-go serves as an HTTP handler, and the gateway calls it over the same port, as any client would.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/improbable-eng/grpc-web/go/grpcweb"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	"metagate/baselines/metadata"
	"metagate/baselines/pb/management"
)

// What ZITADEL lets its gateways receive.
const messageBytesMax = 10 << 20

var isGRPC = regexp.MustCompile(`^application/grpc(\+proto|\+json)?$`)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(messageBytesMax))
	management.RegisterManagementServiceServer(server, metadata.New())
	web := grpcweb.WrapServer(server, grpcweb.WithOriginFunc(func(string) bool { return true }))

	gateway := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
	}))
	err = management.RegisterManagementServiceHandlerFromEndpoint(context.Background(), gateway, listener.Addr().String(),
		[]grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax)),
		})
	if err != nil {
		log.Fatal(err)
	}
	urls := http.StripPrefix("/management/v1", gateway)

	mux := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		kind := request.Header.Get("Content-Type")
		switch {
		case request.ProtoMajor == 2 && request.Method == http.MethodPost && isGRPC.MatchString(kind):
			server.ServeHTTP(writer, request)
		case request.Method == http.MethodPost && strings.HasPrefix(kind, "application/grpc-web"):
			web.ServeHTTP(writer, request)
		default:
			urls.ServeHTTP(writer, request)
		}
	})
	fmt.Printf("zitadel's mux listens on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, h2c.NewHandler(mux, &http2.Server{})))
}
