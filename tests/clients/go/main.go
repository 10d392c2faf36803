// Plays the scenarios by grpc-go, with messages made from a descriptor set, in cleartext and with TLS.
//
// Arguments: the addresses of a server in cleartext and of one with TLS, and the file of the descriptor set.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Relative to the folder of this file, where `go run -C` runs it.
const (
	scenariosFile   = "../scenarios.json"
	certificateFile = "../../tls/certificate.pem"
)

const deadline = 60 * time.Second

func main() {
	if len(os.Args) != 4 {
		fatal(errors.New("usage: clients CLEARTEXT-ADDRESS TLS-ADDRESS DESCRIPTOR-SET"))
	}
	protos, err := readProtos(os.Args[3])
	fatal(err)
	text, err := os.ReadFile(scenariosFile)
	fatal(err)
	secure, err := tlsCredentials()
	fatal(err)

	scenarios, failed := 0, 0
	for index, transport := range []struct {
		name, address string
		credentials   credentials.TransportCredentials
	}{
		{"cleartext", os.Args[1], insecure.NewCredentials()},
		{"TLS", os.Args[2], secure},
	} {
		connection, err := grpc.NewClient(transport.address, grpc.WithTransportCredentials(transport.credentials))
		fatal(err)
		steps, err := parseSteps(text, fmt.Sprintf("org-%d", index))
		fatal(err)
		scenarios = len(steps)
		for _, step := range steps {
			if err := check(step, connection, protos); err != nil {
				failed++
				fmt.Printf("%s: %s: %.2000s\n", transport.name, step.Name, err)
			}
		}
		fatal(connection.Close())
	}
	fmt.Printf("go: %d scenarios over cleartext, TLS: %d failed\n", scenarios, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// check plays a step, and says how its outcome is not what it must be.
func check(step step, connection *grpc.ClientConn, protos protos) error {
	request, reply, err := protos.messagesOf(step.RPC)
	if err != nil {
		return err
	}
	if err := protos.parse(step.Message, request); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, step.headers()...)
	err = connection.Invoke(ctx, "/"+step.RPC, request, reply)
	if step.Error != nil {
		return step.Error.check(err, protos)
	}
	if err != nil {
		return err
	}
	got, err := protos.print(reply)
	if err != nil {
		return err
	}
	return compare(got, step.Reply)
}

func tlsCredentials() (credentials.TransportCredentials, error) {
	certificate, err := os.ReadFile(certificateFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificate) {
		return nil, errors.New(certificateFile + " holds no certificate")
	}
	return credentials.NewTLS(&tls.Config{RootCAs: roots}), nil
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
