// SPDX-License-Identifier: Apache-2.0

// Package testfile reads files of tests for Falco rules: the language of
// event-generator's suite (v0.13), and what this project adds to it.
//
// A file is checked whole before anything is done: [Load] returns its tests, or
// [Problems], each with its place, what is wrong and what to write instead. The
// language is written down as data, from which the [Schema] for editors is made
// too. What a test does leaves as a scenario, what it expects as an expectation.
//
// What tests of other sources of events than processes may say, each source registers
// itself ([Source]). The package imports internal/scenario, internal/expect,
// internal/alert, package events for needs and, for the numbers of system calls,
// internal/event. It starts nothing, and knows no rules: whoever runs the tests compares
// the names of rules and fields with those there are.
package testfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// Test is one test, or one case of a template.
type Test struct {
	Pos         Pos
	Name        string // unique among the tests of its rule; of a case, with _testCase#N
	Template    string // the name in the file
	Values      []CaseValue
	Description string

	Rule    string // "" for a test that expects nothing but to run
	RulePos Pos

	// Draft is what is still to be done before the test means anything, or "".
	Draft string
	// Skip is why the test does not apply here, or "".
	Skip   string
	Source string
	// Scenario is what is done, nil where events are given.
	Scenario *scenario.Scenario
	// Events are recorded ones: JSON, one event or a list; or EventsFile has them.
	Events     json.RawMessage
	EventsFile string
	// Named are the files that the test names: of its events, or by its source's keys.
	Named []string
	// Work is what is done so that there are events of another source than that of
	// processes; nil for nothing.
	Work Work

	// Expect is what Rule is to do. It is the zero value without Rule.
	Expect expect.Expectation
	// FieldPos are the places of the fields that are compared, ActionPos that of the
	// name of a step's action.
	FieldPos  map[string]Pos
	ActionPos Pos
}

// Case says which case it is: "target=/etc/shadow,syscall=link", "" for a test
// without cases.
func (t *Test) Case() string {
	parts := make([]string, len(t.Values))
	for i, v := range t.Values {
		parts[i] = v.Key + "=" + v.Text
	}
	return strings.Join(parts, ",")
}

// QuietRule is a rule that no test of a file may cause to fire.
type QuietRule struct {
	Rule string
	Pos  Pos
}

// File is a file that was read.
type File struct {
	Name  string
	Tests []*Test
	Quiet []QuietRule
}

// maxSize bounds what is read.
const maxSize = 16 << 20

// Load reads files. The error, [Problems], has all that is wrong with all of
// them; with it come the tests with which nothing is wrong.
func Load(names ...string) ([]*File, error) {
	var files []*File
	var problems Problems
	used := map[[2]string]Pos{} // by rule and name
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err == nil && len(data) > maxSize {
			err = fmt.Errorf("it has more than %d bytes", maxSize)
		}
		if err != nil {
			problems = append(problems, &Problem{Pos: Pos{File: name}, Text: fmt.Sprintf("reading a file of tests: %v", err)})
			continue
		}
		f, err := Parse(name, data)
		var some Problems
		if errors.As(err, &some) {
			problems = append(problems, some...)
		}
		if f == nil {
			continue
		}
		for _, t := range f.Tests {
			key := [2]string{t.Rule, t.Template}
			if before, ok := used[key]; ok && before.File != t.Pos.File {
				problems = append(problems, &Problem{t.Pos, fmt.Sprintf("%s already, at %s", t.there(), before), otherName})
			}
			used[key] = t.Pos
		}
		files = append(files, f)
	}
	if len(problems) > 0 {
		return files, problems.Tidy()
	}
	return files, nil
}

// Parse reads one file. With an error, [Problems], come the tests with which
// nothing is wrong, nil if there are none. Paths in it are relative to its folder.
func Parse(name string, data []byte) (*File, error) {
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
	f := c.load(root)
	if len(c.problems) == 0 {
		return f, nil
	}
	all := c.problems.Tidy()
	if len(c.problems) >= maxProblems {
		all = append(all, &Problem{Pos: all[len(all)-1].Pos, Text: "there are more problems in this file", Hint: fmt.Sprintf("the first %d are shown", len(all))})
	}
	return f, all
}

func (c *Checker) load(root *Node) *File {
	f := &File{Name: c.file}
	tests := root.Get("tests")
	if root.kind != object || tests == nil || tests.kind != list {
		c.check(language(), root, wholeFile)
		return nil
	}
	whole := *root
	merged := *tests
	merged.items = c.extend(tests.items)
	whole.entries = slices.Clone(root.entries)
	for i, e := range whole.entries {
		if e.key == "tests" {
			whole.entries[i].value = &Node{kind: list, pos: tests.pos, items: nil}
		}
	}
	shape := *language()
	shape.fields = slices.Clone(shape.fields)
	loose := *shape.fields[0]
	loose.shape = ListOf(Anything(), 0, "")
	shape.fields[0] = &loose
	c.check(&shape, &whole, wholeFile)
	if len(tests.items) == 0 {
		c.add(tests.pos, "add one, with a name", "there are no tests")
	}
	used := map[[2]string]Pos{} // by rule and name
	one := testShape()
	var keys []string
	for _, f := range one.fields {
		keys = append(keys, f.name)
	}
	for i, n := range merged.items {
		if len(c.problems) >= maxProblems {
			break
		}
		before := c.found
		c.skip, c.part = n.kind == object, n.Get("extends").Given() || slices.Contains(misspelt(n, keys), "extends")
		c.check(one, n, testPath(n, i))
		c.skip = false
		if n.kind != object || c.part {
			continue // the rest can be told when it is there
		}
		tests := c.expand(one, n, i)
		if name, rule := n.Get("name"), n.Get("rule"); name.Given() && name.sound() && rule.sound() && (rule.Given() || !n.has("rule")) {
			c.unique(tests, used)
		}
		if c.found == before {
			f.Tests = append(f.Tests, tests...)
		}
	}
	c.part = false
	if quiet := root.Get("quiet"); quiet != nil && quiet.kind == list {
		for _, n := range quiet.items {
			f.Quiet = append(f.Quiet, QuietRule{n.text, n.pos})
		}
	}
	return f
}

// unique checks that a rule has no two tests of one name.
func (c *Checker) unique(tests []*Test, used map[[2]string]Pos) {
	for _, t := range tests {
		key := [2]string{t.Rule, t.Template}
		if first, ok := used[key]; ok && first != t.Pos {
			c.add(t.Pos, otherName, "%s already, in line %d", t.there(), first.Line)
			continue
		}
		used[key] = t.Pos
	}
}

const otherName = "the tests of a rule have different names"

// there says that there is such a test.
func (t *Test) there() string {
	if t.Rule == "" {
		return fmt.Sprintf("there is a test %q without a rule", t.Template)
	}
	return fmt.Sprintf("there is a test %q of the rule %q", t.Template, t.Rule)
}

func testPath(n *Node, i int) at {
	name := n.Get("name").Str()
	switch {
	case name == "":
		return at(fmt.Sprintf("tests[%d]", i))
	case strconv.Quote(name) != `"`+name+`"`:
		name = shown(name)
	}
	return at("the test " + name)
}

// extend returns the tests with what they take over from others. Those that cannot
// keep the key extends.
func (c *Checker) extend(tests []*Node) []*Node {
	byName := map[string]*Node{}
	var names, repeated []string
	for _, n := range tests {
		switch name := n.Get("name").Str(); {
		case name == "":
		case byName[name] == nil:
			byName[name] = n
			names = append(names, name)
		default:
			repeated = append(repeated, name)
		}
	}
	done := map[*Node]*Node{}
	var resolve func(n *Node, chain []string) *Node
	resolve = func(n *Node, chain []string) (out *Node) {
		from := n.Get("extends")
		if !from.Given() || from.kind == list || from.kind == object {
			return n
		}
		if done[n] != nil {
			return done[n]
		}
		defer func() { done[n] = out }()
		chain = append(chain, n.Get("name").Str())
		base := byName[from.text]
		if slices.Contains(repeated, from.text) {
			c.add(from.pos, "give the one that is meant another name", "there are several tests %q in this file, and one test can be extended", from.text)
			return n
		}
		if base == nil {
			c.add(from.pos, nearestOf(from.text, names), "there is no test %q in this file to extend", from.text)
			return n
		}
		if i := slices.Index(chain, from.text); i >= 0 {
			c.add(from.pos, strings.Join(append(chain[i:], from.text), " extends "), "the test %q extends itself", from.text)
			return n
		}
		base = resolve(base, chain)
		if base.Get("extends").Given() {
			return n
		}
		out = mergeNodes(base, n, "")
		out.entries = slices.DeleteFunc(out.entries, func(e entry) bool { return e.key == "extends" })
		return out
	}
	out := make([]*Node, len(tests))
	for i, n := range tests {
		out[i] = resolve(n, nil)
	}
	return out
}

// mergeNodes returns base, changed by over.
func mergeNodes(base, over *Node, key string) *Node {
	switch {
	case base.kind == object && over.kind == object:
		out := *over
		out.entries = nil
		for _, e := range base.entries {
			v := over.Get(e.key)
			switch {
			case v == nil && key == "expectedOutcome" && e.key == "count" && over.Get("fires").Str() == "false":
			case v == nil:
				out.entries = append(out.entries, e)
			case v.kind != null:
				out.entries = append(out.entries, entry{e.key, e.pos, mergeNodes(e.value, v, e.key)})
			}
		}
		for _, e := range over.entries {
			if base.Get(e.key) == nil {
				out.entries = append(out.entries, e)
			}
		}
		return &out
	case base.kind == list && over.kind == list && (key == "resources" || key == "steps"):
		out := *over
		out.items = nil
		named := func(items []*Node, name string) *Node {
			i := slices.IndexFunc(items, func(n *Node) bool { return n.Get("name").Str() == name })
			if i < 0 || name == "" {
				return nil
			}
			return items[i]
		}
		for _, item := range base.items {
			if v := named(over.items, item.Get("name").Str()); v != nil {
				item = mergeNodes(item, v, "")
			}
			out.items = append(out.items, item)
		}
		for _, item := range over.items {
			if named(base.items, item.Get("name").Str()) == nil {
				out.items = append(out.items, item)
			}
		}
		return &out
	}
	return over
}

// expand makes the tests of a template's cases, or the one that it is.
func (c *Checker) expand(s *Shape, n *Node, index int) []*Test {
	spec := n.Get("cases")
	if !spec.Given() {
		if n.has("cases") {
			return nil // misspelt: placeholders have values when that is mended
		}
		return c.test(s, c.fill(n, nil), index, nil, 0)
	}
	template := *n
	template.entries = slices.DeleteFunc(slices.Clone(n.entries), func(e entry) bool { return e.key == "cases" })
	var all []*Test
	cases := c.cases(spec)
	if len(cases) == 0 {
		c.skip = true
		c.scenario(&template) // of the rest, tell what is wrong in any case
		c.skip = false
	}
	for i, values := range cases {
		all = append(all, c.test(s, c.fill(&template, values), index, values, i)...)
	}
	return all
}

// test makes a test, or one for each of its rules.
func (c *Checker) test(s *Shape, n *Node, index int, values *testCase, number int) []*Test {
	if values != nil {
		c.check(s, n, testPath(n, index))
	}
	t := &Test{Pos: n.pos, Template: n.Get("name").Str(), Values: values.values(), Description: n.Get("description").Str()}
	if name := n.Get("name"); name != nil {
		t.Pos = name.place()
	}
	t.Name = t.Template
	if values != nil {
		t.Name = generatedName(t.Template, number)
	}
	t.Draft = n.Get("draft").Str()
	t.Source = sourceOf(n.Get("source").Str()).name
	if runIf := n.Get("runIf"); runIf.Given() {
		t.Skip = skipReason(runIf)
	}
	c.named = nil
	if source := n.Get("source"); source.sound() && (source.Given() || !n.has("source")) {
		c.events(t, n)
	}
	t.Named = c.named
	if sourceOf(t.Source).Processes {
		t.Scenario = c.scenario(n)
	}
	if steps := n.Get("steps"); steps.Given() && len(steps.items) == 1 && steps.items[0].Get("action") != nil {
		t.ActionPos = steps.items[0].Get("action").place()
	}
	c.outcome(t, n.Get("expectedOutcome"))
	t.nameContainer()
	rule := n.Get("rule")
	if !rule.Given() {
		if out := n.Get("expectedOutcome"); out.Given() && len(out.entries) > 0 && !n.has("rule") {
			c.Wrong(out, "add rule, the name of a rule", "%s expects an outcome of no rule", testPath(n, index))
		}
		return []*Test{t}
	}
	names := []*Node{rule}
	if rule.kind == list {
		names = rule.items
	}
	var all []*Test
	for i, name := range names {
		if slices.ContainsFunc(names[:i], func(before *Node) bool { return name.text != "" && before.text == name.text }) {
			c.Wrong(name, "once is enough", "the rule %q is here twice", name.text)
			continue
		}
		one := *t
		one.Rule, one.RulePos = name.text, name.pos
		one.Expect.Rule = name.text
		all = append(all, &one)
	}
	return all
}

// nameContainer gives a container the names that event-generator gives one without any,
// where the test compares them. Otherwise the names are its own, so that tests need not
// wait for one another.
func (t *Test) nameContainer() {
	if t.Scenario == nil || t.Scenario.Container == nil {
		return
	}
	box := t.Scenario.Container
	for _, field := range t.Expect.FieldNames() {
		switch {
		case field == "container.name" && box.Name == "":
			box.Name = "event-generator"
		case strings.HasPrefix(field, "container.image") && box.Image == "":
			box.Image = "docker.io/falcosecurity/event-generator:latest"
		}
	}
}

func skipReason(runIf *Node) string {
	arch := runIf.Get("arch")
	val := arch.Get("val").Str()
	if (arch.Get("op").Str() == "eq") == (val == runtime.GOARCH) {
		return ""
	}
	not := ""
	if arch.Get("op").Str() == "ne" {
		not = "not "
	}
	return fmt.Sprintf("runIf: the processor must %sbe %s, and is %s", not, val, runtime.GOARCH)
}

// events takes what a test has of its source: recorded events, or what is done.
func (c *Checker) events(t *Test, n *Node) {
	src, events := sourceOf(t.Source), n.Get("events")
	for _, other := range sources {
		if other.name == src.name {
			continue
		}
		for _, key := range other.keys() {
			if v := n.Get(key); v.Given() {
				c.Wrong(v, "add source: "+other.name, "%s %s", key, other.Misplaced)
			}
		}
	}
	if src.Processes {
		if names := recorded(); events.Given() {
			c.Wrong(events, "add source: "+enumerate(names, "or"), "recorded events are of the source %s", enumerate(names, "or"))
		}
		return
	}
	for _, key := range []string{"context", "before", "after", "resources", "steps"} {
		if v := n.Get(key); v.Given() {
			c.Wrong(v, "leave it out", "a test of the source %s runs no process, so it has no %s", src.name, key)
		}
	}
	does := slices.ContainsFunc(src.keys(), n.has)
	if does && !slices.ContainsFunc(src.keys(), func(key string) bool { return !n.Get(key).sound() }) {
		t.Work = src.Read(c, n)
	}
	if !events.Given() {
		if !does && !n.has("events") {
			can := []string{"events that were recorded"}
			if src.Does != "" {
				can = append(can, src.Does)
			}
			c.Wrong(n.Get("source"), "add "+enumerate(append([]string{"events"}, src.keys()...), "or"), "a test of the source %s needs %s", src.name, strings.Join(can, ", or "))
		}
		return
	}
	if does {
		c.Wrong(events, "leave out one of them", "a test has either events that were recorded, or %s", enumerate(src.keys(), "and"))
		return
	}
	if !events.sound() {
		return
	}
	if events.kind == text {
		t.EventsFile = c.Path(events)
		if _, err := os.Stat(t.EventsFile); err != nil {
			c.Wrong(events, "the path is relative to this file", "the file of events cannot be read: %v", err)
		}
		return
	}
	t.Events = c.JSON(events, "the events")
}

// value is the node as encoding/json takes it.
func (n *Node) value() any {
	switch n.kind {
	case text:
		return n.text
	case boolean:
		return n.text == "true"
	case number:
		if n.float {
			f, _ := strconv.ParseFloat(n.text, 64)
			return f
		}
		return n.number
	case list:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = item.value()
		}
		return out
	case object:
		out := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			out[e.key] = e.value.value()
		}
		return out
	}
	return nil
}

// outcome takes what is expected.
func (c *Checker) outcome(t *Test, n *Node) {
	t.FieldPos = map[string]Pos{}
	if !n.Given() {
		return
	}
	e := &t.Expect
	e.Silent = n.Get("fires").Str() == "false"
	e.Source, e.Hostname = n.Get("source").Str(), n.Get("hostname").Str()
	if p := n.Get("priority"); p.Given() {
		bound, make := p, expect.Priority
		if least := p.Get("atLeast"); least.Given() {
			bound, make = least, expect.AtLeast
		} else if most := p.Get("atMost"); most.Given() {
			bound, make = most, expect.AtMost
		}
		priority, _ := alert.ParsePriority(bound.text) // the shape has checked it
		e.Priority = make(priority)
	}
	if fields := n.Get("outputFields"); fields.Given() {
		for _, f := range fields.entries {
			t.FieldPos[f.key] = f.pos
			for _, m := range matchers(f.value) {
				e.Fields = append(e.Fields, expect.Field{Name: f.key, Matcher: m})
			}
		}
	}
	if out := n.Get("output"); out.Given() {
		e.Output = matchers(out)
	}
	if tags := n.Get("tags"); tags.Given() {
		for _, tag := range tags.items {
			e.Tags = append(e.Tags, tag.text)
		}
	}
	switch count := n.Get("count"); {
	case !count.Given():
	case count.kind == number:
		e.Count = expect.Exactly(int(count.number))
	default:
		least, most := 1, -1
		if v := count.Get("atMost"); v.Given() {
			most = int(v.number)
			least = min(least, most)
		}
		if v := count.Get("atLeast"); v.Given() {
			least = int(v.number)
		}
		if most >= 0 && most < least && count.sound() {
			c.Wrong(count, "atMost is the greater one", "no count is at least %d and at most %d", least, most)
		}
		e.Count = expect.Between(least, most)
	}
}

func matchers(n *Node) []expect.Matcher {
	if n.kind != object {
		return []expect.Matcher{expect.Equal(n.text)}
	}
	var all []expect.Matcher
	for _, e := range n.entries {
		if !e.value.Given() {
			continue
		}
		switch op := expect.Op(e.key); op {
		case expect.Equals:
			all = append(all, expect.Equal(e.value.text))
		case expect.Contains:
			all = append(all, expect.Containing(e.value.text))
		case expect.StartsWith:
			all = append(all, expect.Prefix(e.value.text))
		case expect.EndsWith:
			all = append(all, expect.Suffix(e.value.text))
		case expect.Matches:
			m, _ := expect.Regexp(e.value.text) // the shape has checked it
			all = append(all, m)
		case expect.OneOf:
			all = append(all, expect.Any(texts(e.value)...))
		case expect.Exists:
			all = append(all, expect.Present(e.value.text == "true"))
		}
	}
	return all
}

func texts(n *Node) []string {
	if !n.Given() {
		return nil
	}
	out := make([]string, len(n.items))
	for i, item := range n.items {
		out[i] = item.Str()
	}
	return out
}

// scenario makes what a test does.
func (c *Checker) scenario(n *Node) *scenario.Scenario {
	before, after := n.Get("before"), n.Get("after")
	s := &scenario.Scenario{Before: before.Str(), After: after.Str()}
	if s.Before != "" {
		s.BeforePlace = before.Place()
	}
	if s.After != "" {
		s.AfterPlace = after.Place()
	}
	context := n.Get("context")
	if k := context.Get("container"); k.Given() {
		s.Container = &scenario.Container{Image: k.Get("image").Str(), Name: k.Get("name").Str(), Env: environ(k.Get("env"))}
	}
	if list := context.Get("processes"); list.Given() {
		for i, p := range list.items {
			if caps := p.Get("capabilities"); caps.Given() && i < len(list.items)-1 {
				c.Wrong(caps, "only the last process of the chain may have them", "process %d of the chain has capabilities", i+1)
			}
			s.Processes = append(s.Processes, process(p, "name"))
		}
	}
	if len(s.Processes) == 0 {
		s.Processes = []scenario.Process{{}}
	}
	names := map[string]Pos{}
	unique := func(item *Node) {
		name := item.Get("name")
		if !name.Given() || !name.sound() {
			return
		}
		if before, ok := names[name.Str()]; ok {
			c.Wrong(name, "the names of resources and steps are unique in a test", "the name %q is taken already, in line %d", name.Str(), before.Line)
		}
		names[name.Str()] = name.pos
	}
	exposed := map[string][]string{}
	expose := func(item *Node, name string, fields []string) {
		if !item.sound() {
			fields = []string{anyField}
		}
		exposed[name] = fields
	}
	if n := n.Get("resources"); !n.sound() && n.kind != list {
		expose(n, "", nil)
	}
	if list := n.Get("resources"); list.Given() {
		for _, item := range list.items {
			unique(item)
			r := c.resource(item)
			expose(item, r.Name, r.Exposed())
			s.Resources = append(s.Resources, r)
		}
	}
	if list := n.Get("steps"); list.Given() {
		for _, item := range list.items {
			unique(item)
			step := c.step(item, exposed, list)
			expose(item, step.Name, step.Exposed())
			s.Steps = append(s.Steps, step)
			if step.Action != "" && (len(list.items) > 1 || len(s.Resources) > 0 || context.Given() || s.Before != "" || s.After != "") {
				c.Wrong(item.Get("action"), "an action has processes, resources and cleanups of its own", "a test with the step of an action has nothing else")
			}
		}
	}
	for i := range s.Resources {
		if r := &s.Resources[i]; r.FD != nil && (r.FD.Subtype == "file" || r.FD.Subtype == "directory") {
			r.FD.Unopened = namesPath(s.Steps, r.FD.Path) && !usesFields(s.Steps, r.Name)
		}
	}
	return s
}

// namesPath tells whether a step names a path.
func namesPath(steps []scenario.Step, name string) bool {
	same := func(s string) bool { return path.Clean(s) == path.Clean(name) }
	return slices.ContainsFunc(steps, func(s scenario.Step) bool {
		if s.Call == nil {
			return s.Write != nil && same(s.Write.Path)
		}
		for _, v := range s.Call.Args {
			if v.Text != nil && same(*v.Text) {
				return true
			}
		}
		return false
	})
}

// usesFields tells whether a step uses what a resource exposes.
func usesFields(steps []scenario.Step, resource string) bool {
	return slices.ContainsFunc(steps, func(s scenario.Step) bool {
		if s.Call == nil {
			return false
		}
		for _, v := range s.Call.Args {
			if name, _, bound := strings.Cut(v.Binding, "."); bound && name == resource {
				return true
			}
		}
		return false
	})
}

func process(n *Node, nameKey string) scenario.Process {
	return scenario.Process{
		ExePath: n.Get("exePath").Str(), Args: splitArgs(n.Get("args").Str()), Exe: n.Get("exe").Str(), Name: n.Get(nameKey).Str(),
		Env: environ(n.Get("env")), User: n.Get("user").Str(), Capabilities: n.Get("capabilities").Str(),
	}
}

// splitArgs splits a command line at spaces, as event-generator does: what stands in
// quotes is one argument, if they begin it and are not empty. A quote elsewhere, or
// without an end, is a character like any other.
func splitArgs(s string) (args []string) {
	const spaces = " \t\n\f\r"
	for s = strings.TrimLeft(s, spaces); s != ""; s = strings.TrimLeft(s, spaces) {
		if quote := s[0]; quote == '"' || quote == '\'' {
			if end := strings.IndexByte(s[1:], quote); end > 0 {
				args, s = append(args, s[1:1+end]), s[end+2:]
				continue
			}
		}
		end := strings.IndexAny(s, spaces)
		if end < 0 {
			end = len(s)
		}
		args, s = append(args, s[:end]), s[end:]
	}
	return args
}

func environ(n *Node) []string {
	if !n.Given() {
		return nil
	}
	var env []string
	for _, e := range n.entries {
		env = append(env, e.key+"="+e.value.Str())
	}
	return env
}

func (c *Checker) resource(n *Node) scenario.Resource {
	r := scenario.Resource{Name: n.Get("name").Str(), Place: n.pos.String()}
	switch n.Get("type").Str() {
	case "clientServer":
		r.ClientServer = &scenario.ClientServer{Proto: n.Get("l4Proto").Str(), Address: n.Get("address").Str()}
		if at, err := parseAddress(r.ClientServer.Address); err == nil && strings.HasSuffix(r.ClientServer.Proto, "4") {
			r.ClientServer.Address = netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
		} else if err == nil {
			r.ClientServer.Address = at.String()
		}
	case "process":
		p := process(n, "procName")
		r.Process, r.FileLess = &p, n.Get("fileLess").Str() == "true"
	default:
		r.FD = &scenario.FDResource{Subtype: n.Get("subtype").Str()}
		switch r.FD.Subtype {
		case "file":
			r.FD.Path = n.Get("filePath").Str()
		case "directory":
			r.FD.Path = n.Get("dirPath").Str()
		case "memfd":
			r.FD.Path = n.Get("fileName").Str()
		}
	}
	return r
}

func (c *Checker) step(n *Node, exposed map[string][]string, all *Node) scenario.Step {
	s := scenario.Step{Name: n.Get("name").Str(), Place: n.pos.String(), ExpectError: n.Get("expectError").Str()}
	if name, ok := sameError[s.ExpectError]; ok {
		s.ExpectError = name
	}
	switch n.Get("type").Str() {
	case "syscall":
		s.Call = c.call(n, exposed, all)
	case "command":
		s.Command = &scenario.Command{Program: n.Get("program").Str(), Args: texts(n.Get("args")), Stdin: n.Get("stdin").Str(), Env: environ(n.Get("env")), Dir: n.Get("dir").Str()}
		if exit := n.Get("exitCode"); exit.Given() {
			s.Command.Exit = int(exit.number)
		}
	case "write":
		s.Write = &scenario.Write{Path: n.Get("path").Str(), Content: n.Get("content").Str(), Append: n.Get("append").Str() == "true", Mode: 0o644}
		if mode := n.Get("mode"); mode.Given() {
			s.Write.Mode = mode.number
		}
	case "sleep":
		s.Sleep, _ = time.ParseDuration(n.Get("duration").Str()) // the shape has checked it
	case "action":
		s.Action = n.Get("action").Str()
	}
	return s
}

func (c *Checker) call(n *Node, exposed map[string][]string, all *Node) *scenario.Call {
	call := &scenario.Call{Name: n.Get("syscall").Str(), Args: map[string]scenario.Value{}}
	known := scenario.SyscallByName(call.Name)
	if known == nil {
		return call
	}
	number, ok := callNumber(known, runtime.GOARCH)
	if call.Number = number; !ok && runtime.GOOS == "linux" {
		c.Wrong(n.Get("syscall"), "runIf: {arch: {op: ne, val: "+runtime.GOARCH+"}}", "there is no system call %s on %s", call.Name, runtime.GOARCH)
	}
	args := n.Get("args")
	if !args.Given() {
		return call
	}
	for _, e := range args.entries {
		a := known.Arg(e.key)
		if a == nil || !e.value.Given() {
			continue
		}
		if a.Kind == scenario.How || a.Kind == scenario.Limit {
			for _, part := range e.value.entries {
				if part.value.Given() {
					set := scenario.Arg{Kind: scenario.Number, Set: partsOf(a.Kind)[strings.ToLower(part.key)]}
					call.Args[a.Name+"."+strings.ToLower(part.key)] = c.argument(&set, part.value, exposed, all)
				}
			}
			continue
		}
		call.Args[a.Name] = c.argument(a, e.value, exposed, all)
	}
	return call
}

// callNumber returns the number of a system call on a processor; false where that
// has none, as 64-bit ARM has no open.
func callNumber(s *scenario.Syscall, goarch string) (int, bool) {
	typ, ok := event.ByName(s.Event())
	if !ok {
		return 0, false
	}
	numbers := typ.Numbers(goarch)
	if len(numbers) == 0 {
		return 0, false
	}
	return numbers[0], true
}

func (c *Checker) argument(a *scenario.Arg, n *Node, exposed map[string][]string, all *Node) (v scenario.Value) {
	if m := binding.FindStringSubmatch(n.text); n.kind == text && m != nil {
		c.bound(n, m[1], m[2], exposed, all)
		v.Binding = m[1] + "." + m[2]
		return v
	}
	switch {
	case n.kind == list:
		v.List = texts(n)
	case a.Kind == scenario.Number || a.Kind == scenario.FD || a.Kind == scenario.Length:
		value := n.number
		if n.kind == text {
			value, _ = a.ParseNumber(n.text) // the shape has checked it
		}
		v.Number, v.Written = &value, n.text
	default:
		s := n.text
		if a.Kind == scenario.Address {
			if at, err := parseAddress(s); err == nil {
				s = at.String()
			}
		}
		v.Text = &s
	}
	return v
}

// anyField stands for the fields of what is wrong itself.
const anyField = "*"

// bound checks a binding: what it names must come before, and expose the field.
func (c *Checker) bound(n *Node, name, field string, exposed map[string][]string, all *Node) {
	fields, ok := exposed[name]
	if _, nameless := exposed[""]; !ok && nameless || slices.Contains(fields, anyField) {
		return // what is wrong there has been told
	}
	if !ok {
		if slices.ContainsFunc(all.items, func(s *Node) bool { return s.Get("name").Str() == name }) {
			c.Wrong(n, "move that step up", "%s is not before this step, so ${%s.%s} has no value yet", name, name, field)
			return
		}
		var names []string
		for known := range exposed {
			names = append(names, known)
		}
		slices.Sort(names)
		hint := nearestOf(name, names)
		if hint == "" {
			hint = "there is none at all"
		}
		c.Wrong(n, hint, "there is no resource or step %q before this step", name)
		return
	}
	if !slices.ContainsFunc(fields, func(f string) bool { return scenario.SameField(f, field) }) {
		c.Wrong(n, nearestOf(field, fields), "%s has no field %q", name, field)
	}
}
