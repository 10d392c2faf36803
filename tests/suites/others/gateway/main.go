// Gateway serves the library with grpc-go at one address, grpc-gateway before it at a second, and improbable's grpc-web at
// a third, each with its defaults; but grpc-web is asked by pages of any origin.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/improbable-eng/grpc-web/go/grpcweb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/reflection"

	"metagate/others/library"
	libraryv1 "metagate/others/library/v1"
)

func main() {
	server := grpc.NewServer()
	libraryv1.RegisterLibraryServiceServer(server, library.New())
	reflection.Register(server)
	calls, urls, pages := listen(), listen(), listen()

	gateway := runtime.NewServeMux()
	err := libraryv1.RegisterLibraryServiceHandlerFromEndpoint(context.Background(), gateway, calls.Addr().String(),
		[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})
	if err != nil {
		log.Fatal(err)
	}
	web := grpcweb.WrapServer(server, grpcweb.WithOriginFunc(func(string) bool { return true }))

	go func() { log.Fatal(server.Serve(calls)) }()
	go func() { log.Fatal(http.Serve(urls, gateway)) }()
	fmt.Printf("ready: grpc=http://%s rest=http://%s grpc-web=http://%[3]s grpc-web-text=http://%[3]s\n",
		calls.Addr(), urls.Addr(), pages.Addr())
	log.Fatal(http.Serve(pages, web))
}

// A free port of this machine.
func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return listener
}
