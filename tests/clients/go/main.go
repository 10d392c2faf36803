// Plays the scenarios by grpc-go, with messages made from a descriptor set, in cleartext and with TLS; and as zitadel-go
// does: with the tokens of ZITADEL's Go library, zitadel/oidc, in both ways in which zitadel-go puts them into calls.
//
// Arguments: the addresses of a server in cleartext and of one with TLS, and the file of the descriptor set. The
// environment: LOGIN, KEYS and ROWS.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
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

// transport is a way to play the scenarios. Of one that logs in, each caller has a connection of its own, which carries
// the token; else the steps do.
type transport struct {
	client, module, name string
	logsIn               bool
	dial                 func(caller string) (*grpc.ClientConn, error)
}

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
	rows, err := os.OpenFile(os.Getenv("ROWS"), os.O_APPEND|os.O_WRONLY, 0)
	fatal(err)
	login := os.Getenv("LOGIN")

	plain := func(address string, credentials credentials.TransportCredentials) func(string) (*grpc.ClientConn, error) {
		return func(string) (*grpc.ClientConn, error) {
			return grpc.NewClient(address, grpc.WithTransportCredentials(credentials))
		}
	}
	zitadel := func(older bool) func(string) (*grpc.ClientConn, error) {
		return func(caller string) (*grpc.ClientConn, error) { return dialZitadel(os.Args[1], login, caller, older) }
	}
	const grpcGo, oidc = "google.golang.org/grpc", "github.com/zitadel/oidc/v3"
	transports := []transport{
		{"zitadel/oidc, grpc-go", oidc, "gRPC, as zitadel-go", true, zitadel(false)},
		{"zitadel/oidc, grpc-go", oidc, "gRPC, as zitadel-go's older client", true, zitadel(true)},
	}
	if login == "token" {
		transports = append(transports,
			transport{"grpc-go", grpcGo, "gRPC", false, plain(os.Args[1], insecure.NewCredentials())},
			transport{"grpc-go", grpcGo, "gRPC, TLS", false, plain(os.Args[2], secure)})
	}
	failed := 0
	for index, transport := range transports {
		steps, err := parseSteps(text, fmt.Sprintf("org-%d", index))
		fatal(err)
		started := time.Now()
		wrong := transport.play(steps, protos)
		failed += wrong
		_, err = fmt.Fprintf(rows, "%s\t%s\t%s\t%s\t%d/%d\t%.1f\t\n", transport.client, versionOf(transport.module),
			transport.name, login, len(steps)-wrong, len(steps), time.Since(started).Seconds())
		fatal(err)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// play plays all steps, and returns how many failed.
func (t transport) play(steps []step, protos protos) (failed int) {
	connections := map[string]*grpc.ClientConn{}
	for _, step := range steps {
		caller := ""
		if t.logsIn {
			caller, _ = step.Token.(string)
			step.Token = nil
		}
		connection, err := connections[caller], error(nil)
		if connection == nil {
			connection, err = t.dial(caller)
			connections[caller] = connection
		}
		if err == nil {
			err = check(step, connection, protos)
		}
		if err != nil {
			failed++
			fmt.Printf("%s, %s: %s: %.2000s\n", t.client, t.name, step.Name, err)
		}
	}
	for _, connection := range connections {
		if connection != nil {
			fatal(connection.Close())
		}
	}
	return failed
}

// versionOf returns the version of a module that this program was built with.
func versionOf(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "?"
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
