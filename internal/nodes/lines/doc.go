// SPDX-License-Identifier: Apache-2.0

// Package lines is what a test binary in a pod and the driver say to each other:
// lines of the pod's standard output, which the driver reads from the pod's log.
//
// A [Writer] turns messages into lines, a [Reader] turns lines into messages. Each
// line of theirs begins with a mark that has the run's id in it; what else stands in
// the log is the pod's own output, which the reader hands on apart. Lines are
// numbered from 1 on without gaps and carry a checksum, so that a log that is read
// from the beginning again, or from somewhere before where it broke, loses nothing
// and counts nothing twice, and that what another process wrote into the midst of a
// line shows. A message that is longer than a line is divided: container runtimes
// break lines of more than 16 KiB in their log files.
//
// It imports internal/report, whose rows results are; it opens no streams and knows
// no cluster.
package lines

import (
	"encoding/json"
	"time"

	"github.com/falcotest/go-falcotest/internal/report"
)

// Version is that of the protocol. A pod of another version is not understood.
const Version = 1

// Ask is what the driver asks of a pod, by a variable of its environment.
type Ask struct {
	// Test is the test that calls falcotest.Run, and Call which call of it is meant,
	// from 1 on.
	Test string `json:"test"`
	Call int    `json:"call"`
	// Run and Skip are what go test was given, of whose levels that of the node is one.
	Run  string `json:"run,omitempty"`
	Skip string `json:"skip,omitempty"`
	// Rules are those whose tests are to run; all where Only is false.
	Only  bool     `json:"only,omitempty"`
	Rules []string `json:"rules,omitempty"`
}

// Message is one thing that is told; one of its members is set.
type Message struct {
	Hello   *Hello   `json:"hello,omitempty"`
	Plan    *Plan    `json:"plan,omitempty"`
	Result  *Result  `json:"result,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
	End     *End     `json:"end,omitempty"`
}

// Hello is the first message: who speaks.
type Hello struct {
	Version int             `json:"version"`        // of the protocol
	Node    string          `json:"node"`           // as the pod was told by the API server
	Binary  string          `json:"binary"`         // SHA-256 of the test binary, in hexadecimal
	Image   json.RawMessage `json:"image,omitzero"` // what the image says of itself, as it stands there
	Kernel  string          `json:"kernel,omitempty"`
	Arch    string          `json:"arch"`
}

// Plan says what will come, once the judge answers: a result for each of its tests.
type Plan struct {
	Judge string   `json:"judge"`           // who judges, with its version
	Falco string   `json:"falco,omitempty"` // the version of that Falco, where it is known
	Rules []string `json:"rules,omitempty"` // the rules files
	Tests []Test   `json:"tests"`
}

// Test names a test by the levels of its subtest's name below that of the node.
type Test struct {
	Path []string `json:"path"`
	Rule string   `json:"rule,omitempty"`
}

// Result is what became of one test.
type Result struct {
	Path []string   `json:"path"`
	Row  report.Row `json:"row"`
	// Text is what a person reads of it, whatever its outcome.
	Text string `json:"text"`
	// Need is what was missing, of a test that was skipped for it.
	Need *Need `json:"need,omitempty"`
	// Here tells that the outcome is so for want of something on the node.
	Here bool `json:"here,omitempty"`
	// Shadow is the rule that would keep this one from alerting.
	Shadow *Shadow `json:"shadow,omitempty"`
}

// Shadow is a rule, and where it stands.
type Shadow struct {
	Rule string `json:"rule"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Need is something that an action needs and that is not there.
type Need struct {
	Name string `json:"name"`
	Hint string `json:"hint,omitempty"`
}

// Problem is why nothing can be judged on the node, or no more.
type Problem struct {
	Text string `json:"text"`
	// Deaf tells that the judge is there and does not answer.
	Deaf bool `json:"deaf,omitempty"`
}

// End is the last message: so many results were told.
type End struct {
	Results  int           `json:"results"`
	Warnings []string      `json:"warnings,omitempty"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	// Falco is the version of the Falco that judged, where its alerts alone tell.
	Falco string `json:"falco,omitempty"`
}
