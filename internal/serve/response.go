// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/falcosecurity/client-go/pkg/api/schema"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// Response is the message that carries the alert over the gRPC API, as Falco
// fills it: numbers and lists as outputs print them, a missing value as "<NA>",
// as Falco 0.43.1 does. Bytes that are no UTF-8 are replaced, because a message with them could not be sent.
func Response(a *alert.Alert) *outputs.Response {
	res := &outputs.Response{
		Priority:     schema.Priority(a.Priority),
		Rule:         text(a.Rule),
		Output:       text(a.Output),
		Hostname:     text(a.Hostname),
		Source:       text(a.Source),
		OutputFields: make(map[string]string, len(a.Fields)),
	}
	if !a.Time.IsZero() {
		res.Time = timestamppb.New(a.Time)
	}
	for name, value := range a.Fields {
		res.OutputFields[text(name)] = text(fieldText(value))
	}
	for _, tag := range a.Tags {
		res.Tags = append(res.Tags, text(tag))
	}
	return res
}

func fieldText(v any) string {
	switch v := v.(type) {
	case nil:
		return alert.Missing
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = fieldText(v[i])
		}
		return "(" + strings.Join(items, ",") + ")"
	case string:
		return v
	case fmt.Stringer:
		return v.String()
	}
	// What Falco does to a value that is no string: print it as JSON.
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
