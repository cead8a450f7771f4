// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"fmt"
	"strings"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/falcosecurity/client-go/pkg/api/schema"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// codec reads protobuf messages as gRPC does, but for alerts whose strings are
// no UTF-8: a file's name may hold any bytes, and Falco's library sends them,
// while Go's ends the stream at such a message. Here they are replaced.
type codec struct{}

// Name is the content subtype of protobuf.
func (codec) Name() string { return "proto" }

// Marshal writes a message.
func (codec) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("writing a message: %T is none", v)
	}
	return proto.Marshal(m)
}

// Unmarshal reads a message.
func (codec) Unmarshal(b []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("reading a message: %T is none", v)
	}
	err := proto.Unmarshal(b, m)
	if res, ok := v.(*outputs.Response); ok && err != nil {
		res.Reset()
		return lenient(b, res)
	}
	return err
}

// lenient reads an alert field by field. The numbers are those of Falco's
// outputs.proto.
func lenient(b []byte, res *outputs.Response) error {
	text := func(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
	return fields(b, func(num protowire.Number, n uint64, b []byte) error {
		switch num {
		case 1:
			res.Time = &timestamppb.Timestamp{}
			return proto.Unmarshal(b, res.Time)
		case 2:
			res.Priority = schema.Priority(n)
		case 4:
			res.Rule = text(b)
		case 5:
			res.Output = text(b)
		case 6:
			var key, value string
			err := fields(b, func(num protowire.Number, _ uint64, b []byte) error {
				switch num {
				case 1:
					key = text(b)
				case 2:
					value = text(b)
				}
				return nil
			})
			if res.OutputFields == nil {
				res.OutputFields = map[string]string{}
			}
			res.OutputFields[key] = value
			return err
		case 7:
			res.Hostname = text(b)
		case 8:
			res.Tags = append(res.Tags, text(b))
		case 9:
			res.Source = text(b)
		}
		return nil
	})
}

// fields calls f for each field of a message, with its number or its bytes.
func fields(b []byte, f func(num protowire.Number, n uint64, b []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("reading an alert: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("reading an alert: %w", protowire.ParseError(n))
		}
		if err := f(num, number, bytes); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
