// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// UnknownPriority is the priority of an alert whose priority has another name
// than Falco gives any.
const UnknownPriority alert.Priority = -1

// jsonAlert is an alert as Falco writes it with json_output: true.
type jsonAlert struct {
	Time     string          `json:"time"`
	Rule     string          `json:"rule"`
	Priority json.RawMessage `json:"priority"`
	Source   string          `json:"source"`
	Output   string          `json:"output"`
	Fields   map[string]any  `json:"output_fields"`
	Hostname string          `json:"hostname"`
	Tags     []string        `json:"tags"`
}

// errNotJSON is what text in place of JSON leads to.
var errNotJSON = errors.New("it is no JSON object: set json_output: true in the Falco's configuration")

// ParseJSON reads one alert as Falco writes it to its HTTP, file and standard
// outputs with json_output: true. Numbers in fields are [json.Number]. A
// missing or unreadable time is the zero time. What follows the object is an
// error, and so is an object that has neither rule nor output.
func ParseJSON(b []byte) (*alert.Alert, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		return nil, errNotJSON
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var j jsonAlert
	if err := d.Decode(&j); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("the JSON of an alert ends early, after %d bytes: %w", len(b), err)
		}
		return nil, fmt.Errorf("the JSON of an alert: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows the JSON of an alert")
	}
	if j.Rule == "" && j.Output == "" {
		return nil, errors.New("the JSON object is no alert: it has neither rule nor output")
	}
	a := &alert.Alert{
		Rule:     j.Rule,
		Priority: UnknownPriority,
		Source:   j.Source,
		Output:   j.Output,
		Fields:   j.Fields,
		Hostname: j.Hostname,
		Tags:     j.Tags,
	}
	for name, v := range a.Fields {
		a.Fields[name] = alert.Value(v)
	}
	var name string
	if json.Unmarshal(j.Priority, &name) == nil {
		if p, err := alert.ParsePriority(name); err == nil {
			a.Priority = p
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, j.Time); err == nil {
		a.Time = t
	}
	return a, nil
}
