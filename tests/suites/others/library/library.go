// Package library keeps books in memory. It answers with messages and errors, and knows no encoding.
package library

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/emptypb"

	libraryv1 "metagate/others/library/v1"
)

// No call lasts longer, whatever it asks for.
const delayMax = time.Second

// Library is all books by their ids. Its methods are what grpc-go asks of the service; their errors are gRPC's.
type Library struct {
	libraryv1.UnimplementedLibraryServiceServer

	mutex sync.Mutex
	books map[string]*libraryv1.Book
}

// New is a library without books.
func New() *Library {
	return &Library{books: map[string]*libraryv1.Book{}}
}

func (l *Library) CreateBook(_ context.Context, request *libraryv1.CreateBookRequest) (*libraryv1.Book, error) {
	book := request.GetBook()
	if book.GetId() == "" {
		return nil, refuse(codes.InvalidArgument, "a book needs an id", &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "book.id", Description: "must not be empty"}},
		})
	}
	if book.GetCopies() < 0 {
		return nil, refuse(codes.OutOfRange, fmt.Sprintf("„%s“ 100%% da? Nein: %d 📚", book.GetTitle(), book.GetCopies()),
			&errdetails.BadRequest{
				FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "book.copies", Description: "weniger als 0 €"}},
			},
			&errdetails.ErrorInfo{Reason: "NEGATIVE", Domain: "library", Metadata: map[string]string{"title": book.GetTitle()}})
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.books[book.GetId()] = book
	return book, nil
}

func (l *Library) GetBook(ctx context.Context, request *libraryv1.GetBookRequest) (*libraryv1.Book, error) {
	select {
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	case <-time.After(min(request.GetDelay().AsDuration(), delayMax)):
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	book, ok := l.books[request.GetId()]
	if !ok {
		return nil, missing(request.GetId())
	}
	return book, nil
}

func (l *Library) ListBooks(_ context.Context, request *libraryv1.ListBooksRequest) (*libraryv1.ListBooksResponse, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	response := &libraryv1.ListBooksResponse{}
	for _, id := range slices.Sorted(maps.Keys(l.books)) {
		book := l.books[id]
		after := request.GetPublishedAfter()
		switch {
		case !strings.HasPrefix(id, request.GetPrefix()):
		case len(request.GetGenres()) > 0 && !slices.Contains(request.GetGenres(), book.GetGenre()):
		case after != nil && !book.GetPublished().AsTime().After(after.AsTime()):
		case request.Limit != nil && len(response.Books) >= int(request.GetLimit()):
		default:
			response.Books = append(response.Books, book)
		}
	}
	return response, nil
}

func (l *Library) DeleteBook(_ context.Context, request *libraryv1.DeleteBookRequest) (*emptypb.Empty, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, ok := l.books[request.GetId()]; !ok {
		return nil, missing(request.GetId())
	}
	delete(l.books, request.GetId())
	return &emptypb.Empty{}, nil
}

func missing(id string) error {
	return refuse(codes.NotFound, "no such book", &errdetails.ResourceInfo{ResourceType: "book", ResourceName: id})
}

func refuse(code codes.Code, text string, details ...protoadapt.MessageV1) error {
	refusal, err := status.New(code, text).WithDetails(details...)
	if err != nil {
		return err
	}
	return refusal.Err()
}
