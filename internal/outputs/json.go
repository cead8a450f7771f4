// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// ParseJSON reads one alert as Falco writes it with json_output.
func ParseJSON(b []byte) (*alert.Alert, error) {
	var j struct {
		Time     string         `json:"time"`
		Rule     string         `json:"rule"`
		Priority string         `json:"priority"`
		Source   string         `json:"source"`
		Output   string         `json:"output"`
		Fields   map[string]any `json:"output_fields"`
		Hostname string         `json:"hostname"`
		Tags     []string       `json:"tags"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&j); err != nil {
		return nil, fmt.Errorf("reading an alert in JSON: %w", err)
	}
	if j.Rule == "" {
		return nil, errors.New("reading an alert in JSON: it names no rule")
	}
	priority, err := alert.ParsePriority(j.Priority)
	if err != nil {
		priority = -1 // newer than this list; the rule is what counts
	}
	t, err := time.Parse(time.RFC3339Nano, j.Time)
	if err != nil {
		return nil, fmt.Errorf("reading an alert in JSON: its time: %w", err)
	}
	source := j.Source
	if source == "" {
		source = "syscall"
	}
	return &alert.Alert{Time: t, Rule: j.Rule, Priority: priority, Source: source, Output: j.Output,
		Fields: j.Fields, Hostname: j.Hostname, Tags: j.Tags}, nil
}
