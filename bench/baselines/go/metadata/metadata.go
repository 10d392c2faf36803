// Package metadata is the service that both servers have: a map behind a lock, of one organization, whoever asks.
package metadata

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"metagate/baselines/pb/management"
	entry "metagate/baselines/pb/metadata"
	"metagate/baselines/pb/object"
)

// To ask for the time is no part of a bare server; to write it is part of the message.
var written = &timestamppb.Timestamp{Seconds: 1_767_225_600, Nanos: 123_456_000}

// Service keeps values by their keys.
type Service struct {
	management.UnimplementedManagementServiceServer

	mutex    sync.RWMutex
	values   map[string][]byte
	sequence uint64
	// The keys, in order.
	keys []string
}

// New is a service without values.
func New() *Service {
	return &Service{values: map[string][]byte{}}
}

// SetOrgMetadata puts a value.
func (s *Service) SetOrgMetadata(
	_ context.Context, request *management.SetOrgMetadataRequest,
) (*management.SetOrgMetadataResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.set(request.GetKey(), request.GetValue())
	return &management.SetOrgMetadataResponse{Details: s.changed()}, nil
}

// BulkSetOrgMetadata puts some values.
func (s *Service) BulkSetOrgMetadata(
	_ context.Context, request *management.BulkSetOrgMetadataRequest,
) (*management.BulkSetOrgMetadataResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, one := range request.GetMetadata() {
		s.set(one.GetKey(), one.GetValue())
	}
	return &management.BulkSetOrgMetadataResponse{Details: s.changed()}, nil
}

// GetOrgMetadata is the value of a key.
func (s *Service) GetOrgMetadata(
	_ context.Context, request *management.GetOrgMetadataRequest,
) (*management.GetOrgMetadataResponse, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	value, there := s.values[request.GetKey()]
	if !there {
		return nil, status.Error(codes.NotFound, "")
	}
	return &management.GetOrgMetadataResponse{Metadata: metadata(request.GetKey(), value)}, nil
}

// ListOrgMetadata is a page; filters are not looked at.
func (s *Service) ListOrgMetadata(
	_ context.Context, request *management.ListOrgMetadataRequest,
) (*management.ListOrgMetadataResponse, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	keys := s.keys[:min(int(request.GetQuery().GetLimit()), len(s.keys))]
	result := make([]*entry.Metadata, 0, len(keys))
	for _, key := range keys {
		result = append(result, metadata(key, s.values[key]))
	}
	details := &object.ListDetails{TotalResult: uint64(len(s.keys)), ViewTimestamp: written}
	return &management.ListOrgMetadataResponse{Details: details, Result: result}, nil
}

func (s *Service) set(key string, value []byte) {
	s.sequence++
	if _, there := s.values[key]; !there {
		place, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Insert(s.keys, place, key)
	}
	s.values[key] = value
}

func (s *Service) changed() *object.ObjectDetails {
	details := details(s.sequence)
	details.ChangeDate = nil
	return details
}

func metadata(key string, value []byte) *entry.Metadata {
	return &entry.Metadata{Details: details(1), Key: key, Value: value}
}

func details(sequence uint64) *object.ObjectDetails {
	return &object.ObjectDetails{
		Sequence: sequence, CreationDate: written, ChangeDate: written, ResourceOwner: "69629023906488334",
	}
}
