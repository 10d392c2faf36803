package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/status"
)

// step is one call, and what it must come to: a reply, or an error.
type step struct {
	Name, RPC string
	// Absent: the owner; null: no token.
	Token any
	// Absent: that of the transport; null: no header.
	Organization any
	Language     string
	Message      json.RawMessage
	Reply        any
	Error        *failure
}

// failure is an error whose message is "text (id)", or without an id the text alone.
type failure struct {
	Code     uint32
	Text, ID string
}

var zeros = regexp.MustCompile(`\$BYTES\((\d+)\)`)

// parseSteps reads the scenarios as they are for an organization.
func parseSteps(text []byte, organization string) ([]step, error) {
	text = bytes.ReplaceAll(text, []byte("$ORG"), []byte(organization))
	text = zeros.ReplaceAllFunc(text, func(found []byte) []byte {
		count, err := strconv.Atoi(string(zeros.FindSubmatch(found)[1]))
		if err != nil {
			return found
		}
		return []byte(base64.StdEncoding.EncodeToString(make([]byte, count)))
	})
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	steps := make([]step, len(raw))
	for index := range raw {
		steps[index] = step{Token: "owner", Organization: organization}
		if err := json.Unmarshal(raw[index], &steps[index]); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// headers returns the step's metadata, names and values in turn.
func (s step) headers() []string {
	var headers []string
	if token, ok := s.Token.(string); ok {
		headers = append(headers, "authorization", "Bearer "+token)
	}
	if organization, ok := s.Organization.(string); ok {
		headers = append(headers, "x-zitadel-orgid", organization)
	}
	if s.Language != "" {
		headers = append(headers, "accept-language", s.Language)
	}
	return headers
}

// compare says how a document, times aside, is not what it must be.
func compare(document []byte, want any) error {
	var got any
	if err := json.Unmarshal(document, &got); err != nil {
		return err
	}
	maskTimes(got)
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("got %.1000s, want %.1000s", fmt.Sprint(got), fmt.Sprint(want))
	}
	return nil
}

func maskTimes(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if strings.HasSuffix(name, "Date") || strings.HasSuffix(name, "Timestamp") {
				value[name] = "$TIME"
			} else {
				maskTimes(member)
			}
		}
	case []any:
		for _, item := range value {
			maskTimes(item)
		}
	}
}

// check says how `err` is not this failure: code, message, or the detail that a failure with an id has.
func (f failure) check(err error, protos protos) error {
	message := f.Text
	var details []any
	if f.ID != "" {
		message = fmt.Sprintf("%s (%s)", f.Text, f.ID)
		details = []any{map[string]any{
			"@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": f.ID, "message": f.Text,
		}}
	}
	want := map[string]any{"code": float64(f.Code), "message": message}
	if details != nil {
		want["details"] = details
	}
	encoded, err := protos.print(status.Convert(err).Proto())
	if err != nil {
		return err
	}
	return compare(encoded, want)
}
