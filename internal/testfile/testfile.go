// SPDX-License-Identifier: Apache-2.0

// Package testfile reads files of tests for Falco rules: the language of
// event-generator's suite (v0.13), and what this project adds to it.
//
// A file is checked whole before anything is done: [Load] returns its tests, or
// [Problems], each with its place, what is wrong and what to write instead. The
// language is written down as data, from which the [Schema] for editors is made
// too. What a test does leaves as a scenario, what it expects as an expectation.
//
// The package imports internal/scenario, internal/expect, internal/alert and, for
// the numbers of system calls, internal/event. It starts nothing, and knows no rules: whoever runs the tests compares the names
// of rules and fields with those there are.
package testfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// Sources of events.
const (
	SyscallSource = "syscall"
	AuditSource   = "k8s_audit"
)

// Test is one test, or one case of a template.
type Test struct {
	Pos         Pos
	Name        string // unique; of a case, with _testCase#N
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
	// Named are the files that the test names: of its events, of its objects.
	Named []string
	// Cluster is what is done on a cluster; its audit events are judged.
	Cluster *scenario.Cluster

	// Expect is what Rule is to do. It is the zero value without Rule.
	Expect expect.Expectation
	// FieldPos are the places of the fields that are compared.
	FieldPos map[string]Pos
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
	used := map[string]Pos{}
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
			if before, ok := used[t.Template]; ok && before != t.Pos {
				problems = append(problems, &Problem{Pos: t.Pos, Text: fmt.Sprintf("there is a test %q already, at %s", t.Template, before)})
			}
			used[t.Template] = t.Pos
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
	c := &checker{file: name, seen: map[Problem]bool{}}
	root, repeated, err := parse(name, data)
	c.problems = repeated
	if err != nil {
		var p *Problem
		if !errors.As(err, &p) {
			p = &Problem{Pos: Pos{File: name}, Text: err.Error()}
		}
		return nil, append(repeated, p).Tidy()
	}
	f := c.load(root)
	if len(c.problems) > 0 {
		return f, c.problems.Tidy()
	}
	return f, nil
}

func (c *checker) load(root *node) *File {
	f := &File{Name: c.file}
	tests := root.get("tests")
	if root.kind != object || tests == nil || tests.kind != list {
		c.check(language(), root, "the file")
		return nil
	}
	whole := *root
	merged := *tests
	merged.items = c.extend(tests.items)
	whole.entries = slices.Clone(root.entries)
	for i, e := range whole.entries {
		if e.key == "tests" {
			whole.entries[i].value = &node{kind: list, pos: tests.pos, items: nil}
		}
	}
	shape := *language()
	shape.fields = slices.Clone(shape.fields)
	loose := *shape.fields[0]
	loose.shape = listOf(anything(), 0, "")
	shape.fields[0] = &loose
	c.check(&shape, &whole, "the file")
	if len(tests.items) == 0 {
		c.add(tests.pos, "", "there are no tests")
	}
	names := map[string]Pos{}
	one := testShape()
	for i, n := range merged.items {
		before := len(c.problems)
		c.skip = true
		c.check(one, n, testPath(n, i))
		c.skip = false
		if name := n.get("name"); n.kind == object && name.given() {
			if first, ok := names[name.text]; ok {
				c.add(name.pos, "", "there is a test %q already, in line %d", name.text, first.Line)
			}
			names[name.text] = name.pos
		}
		if len(c.problems) > before {
			continue
		}
		f.Tests = append(f.Tests, c.expand(one, n, i)...)
	}
	if quiet := root.get("quiet"); quiet != nil && quiet.kind == list {
		for _, n := range quiet.items {
			f.Quiet = append(f.Quiet, QuietRule{n.text, n.pos})
		}
	}
	return f
}

func testPath(n *node, i int) string {
	if name := n.get("name"); n.kind == object && name.given() {
		return fmt.Sprintf("the test %s", name.text)
	}
	return fmt.Sprintf("tests[%d]", i)
}

// extend returns the tests with what they take over from others.
func (c *checker) extend(tests []*node) []*node {
	byName := map[string]*node{}
	var names []string
	for _, n := range tests {
		if name := n.get("name"); name != nil && byName[name.text] == nil {
			byName[name.text] = n
			names = append(names, name.text)
		}
	}
	var resolve func(n *node, depth int) *node
	resolve = func(n *node, depth int) *node {
		from := n.get("extends")
		if !from.given() || from.kind != text {
			return n
		}
		base := byName[from.text]
		switch {
		case base == nil:
			c.add(from.pos, nearestOf(from.text, names), "there is no test %q in this file to extend", from.text)
			return n
		case depth > len(tests):
			c.add(from.pos, "", "the test %q extends itself", n.get("name").str())
			return n
		}
		out := mergeNodes(resolve(base, depth+1), n, "")
		out.entries = slices.DeleteFunc(out.entries, func(e entry) bool { return e.key == "extends" })
		return out
	}
	out := make([]*node, len(tests))
	for i, n := range tests {
		out[i] = resolve(n, 0)
	}
	return out
}

// mergeNodes returns base, changed by over.
func mergeNodes(base, over *node, key string) *node {
	switch {
	case base.kind == object && over.kind == object:
		out := *over
		out.entries = nil
		for _, e := range base.entries {
			v := over.get(e.key)
			switch {
			case v == nil:
				out.entries = append(out.entries, e)
			case v.kind != null:
				out.entries = append(out.entries, entry{e.key, e.pos, mergeNodes(e.value, v, e.key)})
			}
		}
		for _, e := range over.entries {
			if base.get(e.key) == nil {
				out.entries = append(out.entries, e)
			}
		}
		return &out
	case base.kind == list && over.kind == list && (key == "resources" || key == "steps"):
		out := *over
		out.items = nil
		named := func(items []*node, name string) *node {
			i := slices.IndexFunc(items, func(n *node) bool { return n.get("name").str() == name })
			if i < 0 || name == "" {
				return nil
			}
			return items[i]
		}
		for _, item := range base.items {
			if v := named(over.items, item.get("name").str()); v != nil {
				item = mergeNodes(item, v, "")
			}
			out.items = append(out.items, item)
		}
		for _, item := range over.items {
			if named(base.items, item.get("name").str()) == nil {
				out.items = append(out.items, item)
			}
		}
		return &out
	}
	return over
}

// expand makes the tests of a template's cases, or the one that it is.
func (c *checker) expand(s *shape, n *node, index int) []*Test {
	spec := n.get("cases")
	if !spec.given() {
		return c.test(s, c.fill(n, nil), index, nil, 0)
	}
	template := *n
	template.entries = slices.DeleteFunc(slices.Clone(n.entries), func(e entry) bool { return e.key == "cases" })
	var all []*Test
	for i, values := range c.cases(spec) {
		all = append(all, c.test(s, c.fill(&template, values), index, values, i)...)
	}
	return all
}

// test makes a test, or one for each of its rules.
func (c *checker) test(s *shape, n *node, index int, values *testCase, number int) []*Test {
	before := len(c.problems)
	if values != nil {
		c.check(s, n, testPath(n, index))
	}
	if len(c.problems) > before {
		return nil
	}
	t := &Test{Pos: n.get("name").pos, Template: n.get("name").str(), Values: values.values(), Description: n.get("description").str()}
	t.Name = t.Template
	if values != nil {
		t.Name = generatedName(t.Template, number)
	}
	t.Draft = n.get("draft").str()
	t.Source = cmp.Or(n.get("source").str(), SyscallSource)
	if runIf := n.get("runIf"); runIf.given() {
		t.Skip = skipReason(runIf)
	}
	c.events(t, n)
	if t.Source == SyscallSource {
		t.Scenario = c.scenario(n)
	}
	c.outcome(t, n.get("expectedOutcome"))
	rule := n.get("rule")
	if !rule.given() {
		if out := n.get("expectedOutcome"); out.given() && len(out.entries) > 0 {
			c.wrong(out, "add rule, the name of a rule", "the test %s expects an outcome of no rule", t.Template)
		}
		return []*Test{t}
	}
	names := []*node{rule}
	if rule.kind == list {
		names = rule.items
	}
	var all []*Test
	for _, name := range names {
		one := *t
		one.Rule, one.RulePos = name.text, name.pos
		one.Expect.Rule = name.text
		all = append(all, &one)
	}
	return all
}

func skipReason(runIf *node) string {
	arch := runIf.get("arch")
	val := arch.get("val").str()
	if (arch.get("op").str() == "eq") == (val == runtime.GOARCH) {
		return ""
	}
	not := ""
	if arch.get("op").str() == "ne" {
		not = "not "
	}
	return fmt.Sprintf("runIf: the processor must %sbe %s, and is %s", not, val, runtime.GOARCH)
}

// events takes the recorded events of a test.
func (c *checker) events(t *Test, n *node) {
	events := n.get("events")
	switch {
	case t.Source == SyscallSource && events.given():
		c.wrong(events, "add source: k8s_audit", "recorded events are of the source k8s_audit")
	case t.Source == SyscallSource:
		for _, key := range []string{"objects", "requests"} {
			if v := n.get(key); v.given() {
				c.wrong(v, "add source: k8s_audit", "%s are made on a cluster, and judged by its audit events", key)
			}
		}
	default:
		for _, key := range []string{"context", "before", "after", "resources", "steps"} {
			if v := n.get(key); v.given() {
				c.wrong(v, "leave it out", "a test of the source k8s_audit runs no process, so it has no %s", key)
			}
		}
		c.cluster(t, n)
		if !events.given() {
			if t.Cluster == nil {
				c.wrong(n.get("source"), "add events, objects or requests", "a test of the source k8s_audit needs events that were recorded, or something to do on a cluster")
			}
			return
		}
		if t.Cluster != nil {
			c.wrong(events, "leave out one of them", "a test has either events that were recorded, or objects and requests")
			return
		}
		if events.kind == text {
			t.EventsFile = events.text
			if !filepath.IsAbs(t.EventsFile) {
				t.EventsFile = filepath.Join(filepath.Dir(c.file), t.EventsFile)
			}
			t.Named = append(t.Named, t.EventsFile)
			if _, err := os.Stat(t.EventsFile); err != nil {
				c.wrong(events, "the path is relative to this file", "the file of events cannot be read: %v", err)
			}
			return
		}
		var err error
		if t.Events, err = json.Marshal(events.value()); err != nil {
			c.wrong(events, "", "the events cannot be written as JSON: %v", err)
		}
	}
}

// cluster takes what a test does on a cluster.
func (c *checker) cluster(t *Test, n *node) {
	objects, requests := n.get("objects"), n.get("requests")
	if !objects.given() && !requests.given() {
		return
	}
	t.Cluster = &scenario.Cluster{}
	if objects.given() {
		t.Cluster.Origin = objects.pos.String()
		t.Cluster.Objects = c.objects(t, objects)
	}
	if !requests.given() {
		return
	}
	for _, item := range requests.items {
		q := scenario.Request{
			Place: item.pos.String(), Method: cmp.Or(item.get("method").str(), "GET"), Path: item.get("path").str(),
			ContentType: item.get("contentType").str(), User: item.get("user").str(), Groups: texts(item.get("groups")),
		}
		if status := item.get("status"); status.given() {
			q.Status = int(status.number)
		}
		switch body := item.get("body"); {
		case !body.given():
		case body.kind == text:
			q.Body = body.text
		default:
			data, err := json.Marshal(body.value())
			if err != nil {
				c.wrong(body, "", "the body cannot be written as JSON: %v", err)
			}
			q.Body = string(data)
		}
		t.Cluster.Requests = append(t.Cluster.Requests, q)
	}
}

// objects are those of a file, or those that stand here.
func (c *checker) objects(t *Test, n *node) string {
	if n.kind == text {
		path := n.text
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(c.file), path)
		}
		t.Cluster.Origin = path
		t.Named = append(t.Named, path)
		data, err := os.ReadFile(path)
		if err == nil && len(data) > maxSize {
			err = fmt.Errorf("it has more than %d bytes", maxSize)
		}
		if err != nil {
			c.wrong(n, "the path is relative to this file", "the file of objects cannot be read: %v", err)
		}
		return string(data)
	}
	items := n.items
	if n.kind == object {
		items = []*node{n}
	}
	all := make([]any, len(items))
	for i, item := range items {
		for _, key := range []string{"apiVersion", "kind", "metadata"} {
			if item.kind != object || !item.get(key).given() {
				c.wrong(item, "an object as kubectl takes it", "an object lacks the key %s", key)
			}
		}
		all[i] = item.value()
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": all})
	if err != nil {
		c.wrong(n, "", "the objects cannot be written as JSON: %v", err)
	}
	return string(data)
}

// value is the node as encoding/json takes it.
func (n *node) value() any {
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
func (c *checker) outcome(t *Test, n *node) {
	t.FieldPos = map[string]Pos{}
	if !n.given() {
		return
	}
	e := &t.Expect
	e.Silent = n.get("fires").str() == "false"
	e.Source, e.Hostname = n.get("source").str(), n.get("hostname").str()
	if p := n.get("priority"); p.given() {
		bound, make := p, expect.Priority
		if least := p.get("atLeast"); least.given() {
			bound, make = least, expect.AtLeast
		} else if most := p.get("atMost"); most.given() {
			bound, make = most, expect.AtMost
		}
		priority, _ := alert.ParsePriority(bound.text) // the shape has checked it
		e.Priority = make(priority)
	}
	if fields := n.get("outputFields"); fields.given() {
		for _, f := range fields.entries {
			t.FieldPos[f.key] = f.pos
			for _, m := range matchers(f.value) {
				e.Fields = append(e.Fields, expect.Field{Name: f.key, Matcher: m})
			}
		}
	}
	if out := n.get("output"); out.given() {
		e.Output = matchers(out)
	}
	if tags := n.get("tags"); tags.given() {
		for _, tag := range tags.items {
			e.Tags = append(e.Tags, tag.text)
		}
	}
	switch count := n.get("count"); {
	case !count.given():
	case count.kind == number:
		e.Count = expect.Exactly(int(count.number))
	default:
		least, most := 0, -1
		if v := count.get("atLeast"); v.given() {
			least = int(v.number)
		}
		if v := count.get("atMost"); v.given() {
			most = int(v.number)
		}
		if most >= 0 && most < least {
			c.wrong(count, "", "no count is at least %d and at most %d", least, most)
		}
		e.Count = expect.Between(least, most)
	}
}

func matchers(n *node) []expect.Matcher {
	if n.kind != object {
		return []expect.Matcher{expect.Equal(n.text)}
	}
	var all []expect.Matcher
	for _, e := range n.entries {
		if !e.value.given() {
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

func texts(n *node) []string {
	if !n.given() {
		return nil
	}
	out := make([]string, len(n.items))
	for i, item := range n.items {
		out[i] = item.str()
	}
	return out
}

// scenario makes what a test does.
func (c *checker) scenario(n *node) *scenario.Scenario {
	s := &scenario.Scenario{Before: n.get("before").str(), After: n.get("after").str()}
	context := n.get("context")
	if k := context.get("container"); k.given() {
		s.Container = &scenario.Container{Image: k.get("image").str(), Name: k.get("name").str(), Env: environ(k.get("env"))}
	}
	if list := context.get("processes"); list.given() {
		for i, p := range list.items {
			if caps := p.get("capabilities"); caps.given() && i < len(list.items)-1 {
				c.wrong(caps, "only the last process of the chain may have them", "process %d of the chain has capabilities", i+1)
			}
			s.Processes = append(s.Processes, c.process(p, "name"))
		}
	}
	if len(s.Processes) == 0 {
		s.Processes = []scenario.Process{{}}
	}
	names := map[string]Pos{}
	unique := func(item *node) {
		name := item.get("name")
		if before, ok := names[name.str()]; ok {
			c.wrong(name, "", "the name %q is taken already, in line %d", name.str(), before.Line)
		}
		names[name.str()] = name.pos
	}
	exposed := map[string][]string{}
	if list := n.get("resources"); list.given() {
		for _, item := range list.items {
			unique(item)
			r := c.resource(item)
			exposed[r.Name] = r.Exposed()
			s.Resources = append(s.Resources, r)
		}
	}
	if list := n.get("steps"); list.given() {
		for _, item := range list.items {
			unique(item)
			step := c.step(item, exposed, list)
			exposed[step.Name] = step.Exposed()
			s.Steps = append(s.Steps, step)
			if step.Action != "" && (len(list.items) > 1 || len(s.Resources) > 0 || context.given() || s.Before != "" || s.After != "") {
				c.wrong(item.get("action"), "an action has processes, resources and cleanups of its own", "a test with the step of an action has nothing else")
			}
		}
	}
	return s
}

func (c *checker) process(n *node, nameKey string) scenario.Process {
	args, err := splitArgs(n.get("args").str())
	if err != nil {
		c.wrong(n.get("args"), "", "%v", err)
	}
	return scenario.Process{
		ExePath: n.get("exePath").str(), Args: args, Exe: n.get("exe").str(), Name: n.get(nameKey).str(),
		Env: environ(n.get("env")), User: n.get("user").str(), Capabilities: n.get("capabilities").str(),
	}
}

// splitArgs splits a command line at spaces. What stands in single or double
// quotes is one argument, or a part of one.
func splitArgs(s string) (args []string, err error) {
	var current strings.Builder
	inside := false
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '"' || ch == '\'':
			end := strings.IndexByte(s[i+1:], ch)
			if end < 0 {
				return nil, fmt.Errorf("a quote %c has no end in the arguments %s", ch, s)
			}
			current.WriteString(s[i+1 : i+1+end])
			inside, i = true, i+1+end
		case ch == ' ' || ch == '\t' || ch == '\n':
			if inside {
				args = append(args, current.String())
			}
			current.Reset()
			inside = false
		default:
			current.WriteByte(ch)
			inside = true
		}
	}
	if inside {
		args = append(args, current.String())
	}
	return args, nil
}

func environ(n *node) []string {
	if !n.given() {
		return nil
	}
	var env []string
	for _, e := range n.entries {
		env = append(env, e.key+"="+e.value.str())
	}
	return env
}

func (c *checker) resource(n *node) scenario.Resource {
	r := scenario.Resource{Name: n.get("name").str(), Place: n.pos.String()}
	switch n.get("type").str() {
	case "clientServer":
		r.ClientServer = &scenario.ClientServer{Proto: n.get("l4Proto").str(), Address: n.get("address").str()}
	case "process":
		p := c.process(n, "procName")
		r.Process, r.FileLess = &p, n.get("fileLess").str() == "true"
	default:
		r.FD = &scenario.FDResource{Subtype: n.get("subtype").str()}
		switch r.FD.Subtype {
		case "file":
			r.FD.Path = n.get("filePath").str()
		case "directory":
			r.FD.Path = n.get("dirPath").str()
		case "memfd":
			r.FD.Path = n.get("fileName").str()
		}
	}
	return r
}

func (c *checker) step(n *node, exposed map[string][]string, all *node) scenario.Step {
	s := scenario.Step{Name: n.get("name").str(), Place: n.pos.String(), ExpectError: n.get("expectError").str()}
	switch n.get("type").str() {
	case "syscall":
		s.Call = c.call(n, exposed, all)
	case "command":
		s.Command = &scenario.Command{Program: n.get("program").str(), Args: texts(n.get("args")), Stdin: n.get("stdin").str(), Env: environ(n.get("env")), Dir: n.get("dir").str()}
		if exit := n.get("exitCode"); exit.given() {
			s.Command.Exit = int(exit.number)
		}
	case "write":
		s.Write = &scenario.Write{Path: n.get("path").str(), Content: n.get("content").str(), Append: n.get("append").str() == "true", Mode: 0o644}
		if mode := n.get("mode"); mode.given() {
			s.Write.Mode = mode.number
		}
	case "sleep":
		s.Sleep, _ = time.ParseDuration(n.get("duration").str()) // the shape has checked it
	case "action":
		s.Action = n.get("action").str()
	}
	return s
}

func (c *checker) call(n *node, exposed map[string][]string, all *node) *scenario.Call {
	call := &scenario.Call{Name: n.get("syscall").str(), Args: map[string]scenario.Value{}}
	known := scenario.SyscallByName(call.Name)
	if known == nil {
		return call
	}
	number, ok := callNumber(known, runtime.GOARCH)
	if call.Number = number; !ok && runtime.GOOS == "linux" {
		c.wrong(n.get("syscall"), "runIf: {arch: {op: ne, val: "+runtime.GOARCH+"}}", "there is no system call %s on %s", call.Name, runtime.GOARCH)
	}
	args := n.get("args")
	if !args.given() {
		return call
	}
	for _, e := range args.entries {
		a := known.Arg(e.key)
		if a == nil || !e.value.given() {
			continue
		}
		if a.Kind == scenario.How || a.Kind == scenario.Limit {
			for _, part := range e.value.entries {
				if part.value.given() {
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

func (c *checker) argument(a *scenario.Arg, n *node, exposed map[string][]string, all *node) (v scenario.Value) {
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
		v.Number = &value
	default:
		s := n.text
		v.Text = &s
	}
	return v
}

// bound checks a binding: what it names must come before, and expose the field.
func (c *checker) bound(n *node, name, field string, exposed map[string][]string, all *node) {
	fields, ok := exposed[name]
	if !ok {
		if slices.ContainsFunc(all.items, func(s *node) bool { return s.get("name").str() == name }) {
			c.wrong(n, "", "%s is not before this step, so ${%s.%s} has no value yet", name, name, field)
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
		c.wrong(n, hint, "there is no resource or step %q before this step", name)
		return
	}
	if !slices.ContainsFunc(fields, func(f string) bool { return scenario.SameField(f, field) }) {
		c.wrong(n, nearestOf(field, fields), "%s has no field %q", name, field)
	}
}
