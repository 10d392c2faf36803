// Vanguard serves the library with connect-go behind vanguard, with their defaults, at one address for all encodings.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/vanguard"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"metagate/others/library"
	libraryv1 "metagate/others/library/v1"
	"metagate/others/library/v1/libraryv1connect"
)

// Connect's form of the service.
type service struct{ books *library.Library }

func (s service) CreateBook(ctx context.Context, request *connect.Request[libraryv1.CreateBookRequest]) (*connect.Response[libraryv1.Book], error) {
	return answer(s.books.CreateBook(ctx, request.Msg))
}

func (s service) GetBook(ctx context.Context, request *connect.Request[libraryv1.GetBookRequest]) (*connect.Response[libraryv1.Book], error) {
	return answer(s.books.GetBook(ctx, request.Msg))
}

func (s service) ListBooks(ctx context.Context, request *connect.Request[libraryv1.ListBooksRequest]) (*connect.Response[libraryv1.ListBooksResponse], error) {
	return answer(s.books.ListBooks(ctx, request.Msg))
}

func (s service) DeleteBook(ctx context.Context, request *connect.Request[libraryv1.DeleteBookRequest]) (*connect.Response[emptypb.Empty], error) {
	return answer(s.books.DeleteBook(ctx, request.Msg))
}

// What the library says, as connect-go says it.
func answer[T any](message *T, err error) (*connect.Response[T], error) {
	if err == nil {
		return connect.NewResponse(message), nil
	}
	refusal := status.Convert(err).Proto()
	said := connect.NewError(connect.Code(refusal.GetCode()), errors.New(refusal.GetMessage()))
	for _, detail := range refusal.GetDetails() {
		packed, err := connect.NewErrorDetail(detail)
		if err != nil {
			return nil, err
		}
		said.AddDetail(packed)
	}
	return nil, said
}

func main() {
	transcoder, err := vanguard.NewTranscoder([]*vanguard.Service{
		vanguard.NewService(libraryv1connect.NewLibraryServiceHandler(service{library.New()})),
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", transcoder)
	reflector := grpcreflect.NewStaticReflector(libraryv1connect.LibraryServiceName)
	mux.Handle(grpcreflect.NewHandlerV1(reflector))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols}
	fmt.Printf("ready: http://%s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}
