// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// Recording is what rules are expected to make of a recording: the file beside
// it, in the words of the files of tests.
type Recording struct {
	Tests []*Test // with Rule and Expect, and nothing that is done
	Quiet []QuietRule
}

var recordingLanguage = sync.OnceValue(func() *Shape {
	return FieldsOf("What the rules are expected to make of the recording beside this file.",
		may("tests", ListOf(FieldsOf("A rule, and which alert of it is expected.",
			may("name", Words("What the test is called. Default: the rule's name.")),
			need("rule", &Shape{kinds: []Kind{text, list}, items: Words("A rule's name."), least: 1, doc: "The rule that is expected to fire; or a list of rules, each of which is."}),
			may("description", Words("What the test shows, for people.")),
			may("expectedOutcome", outcomeShape()),
		), 1, "The tests, in the order in which they are reported.")),
		may("quiet", ListOf(Words("A rule's name."), 1, "Rules that the recording must not cause to fire.")),
	)
})

// LoadRecording reads the file beside a recording. The error, [Problems], has all
// that is wrong with it.
func LoadRecording(name string) (*Recording, error) {
	data, err := os.ReadFile(name)
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("it has more than %d bytes", maxSize)
	}
	if err != nil {
		return nil, Problems{{Pos: Pos{File: name}, Text: fmt.Sprintf("reading what is expected of a recording: %v", err)}}
	}
	return ParseRecording(name, data)
}

// ParseRecording reads what LoadRecording does.
func ParseRecording(name string, data []byte) (*Recording, error) {
	c := &Checker{file: name, seen: map[Problem]bool{}}
	root, problems, err := parse(name, data)
	c.problems = problems
	if err != nil {
		var p *Problem
		if !errors.As(err, &p) {
			p = &Problem{Pos: Pos{File: name}, Text: err.Error()}
		}
		return nil, append(problems, p).Tidy()
	}
	r := &Recording{}
	if c.check(recordingLanguage(), root, wholeFile); len(c.problems) == 0 {
		c.recording(r, root)
	}
	if len(c.problems) > 0 {
		return nil, c.problems.Tidy()
	}
	return r, nil
}

func (c *Checker) recording(r *Recording, root *Node) {
	tests, quiet := root.Get("tests"), root.Get("quiet")
	if !tests.Given() && !quiet.Given() {
		c.Wrong(root, "add tests, or quiet", "nothing is expected of the recording")
		return
	}
	if tests.Given() {
		for _, n := range tests.items {
			rule := n.Get("rule")
			names := []*Node{rule}
			if rule.kind == list {
				names = rule.items
			}
			for _, name := range names {
				t := &Test{Pos: n.pos, Description: n.Get("description").Str(), Rule: name.text, RulePos: name.pos, Name: name.text}
				if given := n.Get("name"); given.Given() {
					t.Name = given.text
				}
				c.outcome(t, n.Get("expectedOutcome"))
				t.Expect.Rule = name.text
				r.Tests = append(r.Tests, t)
			}
		}
	}
	if quiet.Given() {
		for _, n := range quiet.items {
			r.Quiet = append(r.Quiet, QuietRule{n.text, n.pos})
		}
	}
}
