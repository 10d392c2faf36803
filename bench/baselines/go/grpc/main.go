// Grpc is grpc-go alone, with its own HTTP/2, on a free port that it says on stdout.
package main

import (
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"

	"metagate/baselines/metadata"
	"metagate/baselines/pb/management"
)

// What ZITADEL lets its gateways receive, and a list of large values needs.
const messageBytesMax = 10 << 20

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(messageBytesMax))
	management.RegisterManagementServiceServer(server, metadata.New())
	fmt.Printf("grpc-go listens on http://%s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}
