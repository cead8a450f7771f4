// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/events"
)

// Source is what tests may say of a source of events: which keys there are, and what
// is done by them. Each source tells it of itself.
type Source struct {
	// Processes says that its events are what processes do: a test has context, before,
	// after, resources and steps. It is the source of tests that name none.
	Processes bool

	// Recorded says that a test may have recorded events in place of doing anything.
	Recorded bool

	// Keys are further keys of a test, and Read makes of them what is done: at least one
	// of them is there. Nil if there are none.
	Keys []*Field
	Read func(c *Checker, n *Node) Work
	// Does says what the keys are, such as "something to do on a cluster"; Misplaced, what
	// is to be said of one of them in a test of another source.
	Does, Misplaced string

	// Draft is what a first test of a rule may have, as YAML in its place, by the fields that
	// the rule asks for and values that it compares them with.
	Draft func(asked map[string][]string) string
}

// Work is what a test does so that there are events of its source.
type Work interface {
	// Needs are what it needs of this machine.
	Needs() []events.Need
	// Program is the program of package child that does it for a test, and what that
	// is given.
	Program(test string) (name string, data []byte, err error)
	// Explain tells what it does, a line for each step.
	Explain() []string
}

// A namedSource is what tests may say of the source of that name, and what its events
// are.
type namedSource struct {
	*Source
	name, events string
}

var sources []namedSource

// Register adds a source, by its name in rules, and says what its events are. It is for
// initialisation.
func Register(name, events string, s *Source) {
	sources = append(sources, namedSource{s, name, events})
}

// sourceOf is the source of a name, or of tests that name none.
func sourceOf(name string) namedSource {
	for _, s := range sources {
		if name == s.name || name == "" && s.Processes {
			return s
		}
	}
	return namedSource{&Source{}, name, "events"}
}

// sourceNames are the names of the sources, that of tests that name none first.
func sourceNames() (names []string) {
	for _, s := range sources {
		names = append(names, s.name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == sourceOf("").name) != (b == sourceOf("").name) {
			if a == sourceOf("").name {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

// recorded are the names of the sources whose recorded events a test may have.
func recorded() []string {
	return slices.DeleteFunc(sourceNames(), func(name string) bool { return !sourceOf(name).Recorded })
}

// keys are the names of a source's further keys.
func (s namedSource) keys() (names []string) {
	for _, f := range s.Keys {
		names = append(names, f.name)
	}
	return names
}

// Draft is what a first test of a rule may have, by the rule's source; "" where its
// tests run processes, or nobody can tell.
func Draft(source string, asked map[string][]string) string {
	s := sourceOf(source)
	if s.Draft == nil {
		return ""
	}
	return "    source: " + s.name + "\n" + s.Draft(asked)
}

// enumerate lists words with another before the last: "a, b or c".
func enumerate(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

// Checked adds a check to a shape.
func (s *Shape) Checked(check func(c *Checker, n *Node)) *Shape {
	s.check = check
	return s
}

// Within bounds a number.
func (s *Shape) Within(least, most int) *Shape {
	s.least, s.most = least, most
	return s
}

// Need has the key required.
func (f *Field) Need() *Field {
	f.required = true
	return f
}

// AnyOf is the shape of a value of several kinds: a list, an object or a text, whose
// parts may be anything.
func AnyOf(doc string, kinds ...Kind) *Shape {
	return &Shape{kinds: kinds, items: Anything(), doc: doc}
}

// Items are the values of a list, and an object alone.
func (n *Node) Items() []*Node {
	if n.kind == object {
		return []*Node{n}
	}
	return n.items
}

// Texts are the texts of a list, nil of what is not given.
func (n *Node) Texts() []string { return texts(n) }

// Number is the value of a number.
func (n *Node) Number() int64 { return n.number }

// Kind says what kind of a value it is.
func (n *Node) Kind() Kind { return n.kind }

// Place is where it stands, as file:line:column.
func (n *Node) Place() string { return n.pos.String() }

// Value is the value as encoding/json takes it.
func (n *Node) Value() any { return n.value() }

// JSON writes the value as JSON; what is wrong with it goes to the checker.
func (c *Checker) JSON(n *Node, what string) []byte {
	data, err := json.Marshal(n.value())
	if err != nil {
		c.Wrong(n, "", "%s cannot be written as JSON: %v", what, err)
	}
	return data
}

// Path is the path of a file that a test names, relative to its own.
func (c *Checker) Path(n *Node) string {
	path := n.text
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(c.file), path)
	}
	if !slices.Contains(c.named, path) {
		c.named = append(c.named, path)
	}
	return path
}

// ReadFile reads a file that a test names, what being wrong going to the checker.
func (c *Checker) ReadFile(n *Node, what string) []byte {
	data, err := os.ReadFile(c.Path(n))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("it has more than %d bytes", maxSize)
	}
	if err != nil {
		c.Wrong(n, "the path is relative to this file", "%s cannot be read: %v", what, err)
	}
	return data
}

// Open tells whether a value is yet to come from a case.
func (c *Checker) Open(n *Node) bool { return c.skip && isTemplate(n) }
