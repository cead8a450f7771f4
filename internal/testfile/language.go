// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// Words is a text, or what YAML takes for something else.
func Words(doc string) *Shape { return &Shape{kinds: []Kind{text, number, boolean}, doc: doc} }

func optionalText(doc string) *Shape {
	s := Words(doc)
	s.empty = true
	return s
}

// Choice is one of a few texts.
func Choice(doc string, choices ...string) *Shape {
	return &Shape{kinds: []Kind{text}, doc: doc, choices: choices}
}

// Integer is a whole number.
func Integer(doc string) *Shape { return &Shape{kinds: []Kind{number}, doc: doc} }

func yesNo(doc string) *Shape { return &Shape{kinds: []Kind{boolean}, doc: doc} }

// ListOf is a list of at least so many.
func ListOf(items *Shape, least int, doc string) *Shape {
	return &Shape{kinds: []Kind{list}, items: items, least: least, doc: doc}
}

func atMost(most int, s *Shape) *Shape {
	s.most = most
	return s
}

// FieldsOf is an object with these keys.
func FieldsOf(doc string, fields ...*Field) *Shape {
	return &Shape{kinds: []Kind{object}, doc: doc, fields: fields}
}

func mapOf(items *Shape, keys, doc string) *Shape {
	return &Shape{kinds: []Kind{object}, items: items, keys: keys, doc: doc, least: 1}
}

func need(name string, s *Shape) *Field {
	return &Field{name: name, doc: s.doc, required: true, shape: s}
}

func may(name string, s *Shape) *Field { return &Field{name: name, doc: s.doc, shape: s} }

// Plus is a key that event-generator's language does not have.
func Plus(name string, s *Shape) *Field {
	return &Field{name: name, doc: s.doc, shape: s, addition: true}
}

// language is the shape of a file.
var language = sync.OnceValue(func() *Shape {
	return FieldsOf("A file of tests for Falco rules.",
		need("tests", ListOf(testShape(), 1, "The tests, in the order in which they are reported.")),
		Plus("quiet", ListOf(Words("A rule's name."), 1, "Rules that no test of the file may cause to fire, unless it is for that rule.")),
	)
})

func testShape() *Shape {
	fields := []*Field{
		need("name", Words("The test's name, unique among the tests of its rule. Tests made from cases get _testCase#N added to it.")),
		may("rule", &Shape{kinds: []Kind{text, list}, items: Words("A rule's name."), least: 1, doc: "The rule that is expected to fire; or a list of rules, each of which is."}),
		may("description", Words("What the test shows, for people.")),
		may("runner", Choice("Where it runs. HostRunner is the only one.", "HostRunner")),
		may("runIf", FieldsOf("Where the test applies; elsewhere it is skipped.",
			need("arch", FieldsOf("The processor.", need("op", Choice("How to compare.", "eq", "ne")), need("val", architecture())))),
		),
		may("context", contextShape()),
		may("before", Words("A bash script that runs in the last process of the chain before the resources are made.")),
		may("after", Words("A bash script that runs after the steps, in the same bash as before.")),
		may("resources", ListOf(resourceShape(), 1, "What is made before the steps, in this order; steps use its fields by ${name.field}.")),
		may("steps", ListOf(stepShape(), 1, "What the last process of the chain does, in this order.")),
		may("expectedOutcome", outcomeShape()),
		may("cases", ListOf(caseShape(), 1, "Makes the test a template: %{ item.key } stands for a case's value, and there is a test for each case.")),
		Plus("extends", Words("The name of another test of the file, to be like: objects are merged, resources and steps by their name, and other lists replaced; null takes a key away.")),
		Plus("draft", &Shape{kinds: []Kind{text}, doc: "What is still to be done: the test fails, and says so.", write: "take the key away when the test is complete"}),
		Plus("source", Choice("Where the events come from.", sourceNames()...)),
	}
	for _, name := range sourceNames() {
		fields = append(fields, sourceOf(name).Keys...)
	}
	if names := recorded(); len(names) > 0 {
		fields = append(fields, Plus("events", AnyOf("Recorded events, of source "+enumerate(names, "or")+", that are judged in place of a run: one, a list, or the path of a file, relative to this one.", list, object, text)))
	}
	return FieldsOf("What is done, and which alert that should cause.", fields...)
}

// Anything is a value that is handed on as it is.
func Anything() *Shape {
	s := &Shape{kinds: []Kind{null, text, number, boolean, list, object}, empty: true, doc: "Any value."}
	s.items = s
	return s
}

func envShape(whose string) *Shape {
	s := mapOf(optionalText("The variable's value."), "The variable's name.", "Environment variables "+whose+".")
	s.forbid = func(key string) string {
		if strings.HasPrefix(key, "FALCOTEST_") {
			return fmt.Sprintf("the environment variable %s is falcotest's own", key)
		}
		if key == "" || strings.ContainsAny(key, "=\x00") {
			return fmt.Sprintf("%q is no name of an environment variable", key)
		}
		return ""
	}
	return s
}

// architecture is a processor's name. That of another naming would skip the test for ever.
func architecture() *Shape {
	s := Words("As Go names it: amd64, arm64.")
	s.examples = []any{"amd64", "arm64"}
	s.check = func(c *Checker, n *Node) {
		if name := map[string]string{"x86_64": "amd64", "x86-64": "amd64", "x64": "amd64", "aarch64": "arm64"}[strings.ToLower(n.text)]; name != "" {
			c.Wrong(n, "write "+name, "%q is no name of a processor that Go knows", n.text)
		}
	}
	return s
}

func contextShape() *Shape {
	return FieldsOf("In which processes, and in which container, the test runs.",
		may("processes", atMost(64, ListOf(processShape("name", true), 1, "A chain of processes, each started by the one before it. The last one makes the resources and does the steps, and it alone is judged."))),
		may("container", FieldsOf("Runs the chain in a privileged container.",
			may("image", Words("The name of the container's image, for the rules: the image is made from the test binary, or is the one of WithImage.")),
			may("name", Words("The container's name. Tests whose containers have one name run one after another.")),
			may("env", envShape("of the container")),
		)),
	)
}

// fileName is a name without a slash.
func fileName(doc string) *Shape {
	s := Words(doc)
	s.check = func(c *Checker, n *Node) {
		if strings.ContainsAny(n.text, "/\x00") || n.text == "." || n.text == ".." {
			c.Wrong(n, "a path goes into exePath", "%q is not the name of a process", n.text)
		}
	}
	return s
}

// anyPath is a path, of which a relative one is below the working directory of the run.
func anyPath(doc string) *Shape {
	s := Words(doc)
	s.check = func(c *Checker, n *Node) {
		if strings.Contains(n.text, "\x00") {
			c.Wrong(n, "", "%q is no path", n.text)
		}
	}
	return s
}

func absolute(doc string) *Shape {
	s := Words(doc)
	s.check = func(c *Checker, n *Node) {
		if !strings.HasPrefix(n.text, "/") || strings.Contains(n.text, "\x00") {
			c.Wrong(n, "it begins with a slash", "%q is no absolute path", n.text)
		}
	}
	return s
}

func processShape(nameKey string, chain bool) *Shape {
	fields := []*Field{
		may(nameKey, fileName("The process's name, as the kernel has it. Default: the last element of exePath.")),
		may("exe", Words("argv[0]. Default: the name if there is one, else the last element of exePath.")),
		may("exePath", anyPath("The path of the executable. Folders that are missing are made. Default: a path of the run's own.")),
		may("args", optionalText("The arguments, separated by spaces; one that holds spaces stands whole in \" or '.")),
		may("env", envShape("of the process, added to those that it inherits")),
	}
	if chain {
		capabilities := Words("The process's capabilities, as cap_from_text(3) reads them; of the last process only. Default: all=iep, all that the machine grants.")
		capabilities.examples = []any{"cap_net_admin,cap_chown=ep", "all=iep cap_sys_admin-eip"}
		capabilities.check = func(c *Checker, n *Node) {
			if _, err := scenario.ParseCapabilities(n.text); err != nil {
				c.Wrong(n, `such as "cap_net_admin,cap_chown=ep"`, "the capabilities %q cannot be read: %v", n.text, err)
			}
		}
		fields = append(fields,
			may("user", Words("The user who runs the process. One that does not exist is made, and removed afterwards.")),
			may("capabilities", capabilities),
		)
	}
	return FieldsOf("A process.", fields...)
}

func resourceShape() *Shape {
	s := FieldsOf("Something that steps use.",
		need("type", Choice("What it is.", "clientServer", "fd", "process")),
		need("name", Words("Its name, unique among the test's resources and steps.")),
	)
	s.selects = "type"
	subtype := Choice("What the descriptor is of.", "file", "directory", "pipe", "event", "signalfd", "eventpoll", "inotify", "memfd")
	s.variants = []variant{
		{"clientServer", "A server and a client, connected where the protocol is. Exposes client.fd and server.fd.", []*Field{
			need("l4Proto", Choice("The protocol.", "udp4", "udp6", "tcp4", "tcp6", "unix")),
			need("address", optionalText("host:port, an IP address; empty for unix. It exists in a network namespace of the test's own.")),
		}},
		{"fd", "A descriptor. Exposes fd; of a pipe, readFd and writeFd.", []*Field{
			need("subtype", subtype),
			may("filePath", anyPath("The path of the file. One that is missing is made, and removed afterwards.")),
			may("dirPath", anyPath("The path of the directory. One that is missing is made, and removed afterwards.")),
			may("fileName", optionalText("The name of the memfd.")),
		}},
		{"process", "A process that waits. Exposes pid.", append(processShape("procName", false).fields,
			may("fileLess", yesNo("Executes it from a memfd.")))},
	}
	address := s.variants[0].fields[1].shape
	address.examples = []any{"203.0.113.10:80", "[2001:db8::1]:80"}
	s.check = checkResource
	return s
}

func checkResource(c *Checker, n *Node) {
	path := map[string]string{"file": "filePath", "directory": "dirPath"}[n.Get("subtype").Str()]
	if n.Get("type").Str() == "fd" && path != "" && !n.has(path) && !c.part {
		c.Wrong(n, "its path", "a resource of the subtype %s lacks the key %s", n.Get("subtype").Str(), path)
	}
	for key, of := range map[string]string{"filePath": "file", "dirPath": "directory", "fileName": "memfd"} {
		if v, subtype := n.Get(key), n.Get("subtype"); v.Given() && subtype.Given() && subtype.text != of && subtype.sound() && !isTemplate(subtype) && subtype.filledAt.Line == 0 {
			c.Wrong(v, "filePath is for file, dirPath for directory, fileName for memfd", "a resource of the subtype %s has no %s", subtype.text, key)
		}
	}
	proto, address := n.Get("l4Proto"), n.Get("address")
	if n.Get("type").Str() != "clientServer" || proto == nil || address == nil || c.skip && (isTemplate(proto) || isTemplate(address)) {
		return
	}
	if proto.text == "unix" {
		if address.text != "" {
			c.Wrong(address, `write ""`, "the address of unix must be empty")
		}
		return
	}
	at, err := parseAddress(address.text)
	switch {
	case err != nil:
		c.Wrong(address, "such as 203.0.113.10:80 or [2001:db8::1]:80", "the address %q cannot be read: %v", address.text, err)
	case strings.HasSuffix(proto.text, "4") != at.Addr().Unmap().Is4():
		c.Wrong(address, "127.0.0.1:80 is one of tcp4 and udp4, [::1]:80 of tcp6 and udp6", "the address %s is none of the protocol %s", address.text, proto.text)
	}
}

func isTemplate(n *Node) bool { return n.kind == text && placeholder.MatchString(n.text) }

// parseAddress reads host:port, as net.SplitHostPort and net.ParseIP do.
func parseAddress(address string) (at netip.AddrPort, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return at, err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Zone() != "" {
		return at, fmt.Errorf("%q is no IP address", host)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return at, fmt.Errorf("%q is no port from 1 to 65535", port)
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

func stepShape() *Shape {
	s := FieldsOf("One thing that is done.",
		need("type", Choice("What is done.", "syscall", "command", "write", "sleep", "action")),
		need("name", Words("Its name, unique among the test's resources and steps.")),
	)
	s.selects = "type"
	exit := Integer("The exit code that it must have. Default: 0.")
	exit.most = 255
	mode := Integer("The mode of a new file. Default: 0644.")
	mode.most, mode.write = 0o7777, "such as 0o644"
	duration := Words("How long, such as 500ms or 6s.")
	duration.check = func(c *Checker, n *Node) {
		switch d, err := time.ParseDuration(n.text); {
		case err != nil:
			c.Wrong(n, "such as 500ms or 6s", "%q is no duration", n.text)
		case d <= 0 || d > maxSleep:
			c.Wrong(n, "such as 500ms or 6s", "a duration must be more than 0 and %s at most, and is %s", maxSleep, n.text)
		}
	}
	duration.examples = []any{"500ms", "6s"}
	expectError := Choice("The error that the call must fail with, such as EPERM.", errorNames()...)
	s.variants = []variant{
		{"syscall", "Makes a system call. It fails the test if the call fails, or with expectError if it does not.", []*Field{
			need("syscall", Choice("The system call.", scenario.SyscallNames()...)),
			may("args", &Shape{kinds: []Kind{object}, doc: "The arguments, by the names of the manual or of evt.arg; case and underscores do not count.",
				items: &Shape{kinds: []Kind{text, number, boolean, list, object, null}, empty: true, items: anyArgument(), doc: "A number, names of flags joined by |, a text, or ${name.field}.",
					examples: []any{"O_WRONLY|O_CREAT", "/etc/shadow", "${target.fd}"}}, keys: "The argument's name."}),
			Plus("expectError", expectError),
		}},
		{"command", "Runs a program to its end.", []*Field{
			need("program", Words("Its path, or its name in PATH.")),
			may("args", ListOf(optionalText("An argument."), 0, "Its arguments.")),
			may("stdin", optionalText("What it reads from standard input.")),
			may("env", envShape("of the program, added to those that it inherits")),
			may("dir", absolute("Its working directory.")),
			may("exitCode", exit),
		}},
		{"write", "Writes a file, which is made if it is missing, and put back afterwards.", []*Field{
			need("path", absolute("The file's path.")),
			may("content", optionalText("What to write.")),
			may("append", yesNo("Adds it at the end. Default: it replaces what is there.")),
			may("mode", mode),
		}},
		{"sleep", "Waits.", []*Field{need("duration", duration)}},
		{"action", "Runs a registered action. It is the only step of its test.", []*Field{need("action", Words("The action's name, such as syscall.ClearLogActivities."))}},
	}
	for i := range s.variants[1:] {
		for _, f := range s.variants[1+i].fields {
			f.addition = true
		}
	}
	s.check = checkStep
	return s
}

// maxSleep bounds one step that waits.
const maxSleep = 10 * time.Minute

// sameError has the names of errors that have two, with the other one.
var sameError = map[string]string{"EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK", "EOPNOTSUPP": "ENOTSUP"}

// errorNames are the names that the kernel's errors have, of which Falco knows not all.
var errorNames = sync.OnceValue(func() []string {
	names := []string{"ENOTSUP", "ENOKEY", "EKEYEXPIRED", "EKEYREVOKED", "EKEYREJECTED", "EOWNERDEAD", "ENOTRECOVERABLE", "ERFKILL", "EHWPOISON"}
	for number := int64(1); number < 126; number++ {
		if name := event.ErrnoName(-number); name != "" {
			names = append(names, name)
		}
	}
	return append(names, slices.Sorted(maps.Keys(sameError))...)
})

func anyArgument() *Shape {
	return &Shape{kinds: []Kind{text, number, boolean, null}, empty: true, doc: "A part of the argument."}
}

// binding is ${name.field}, alone in a text.
var binding = regexp.MustCompile(`^\s*\$\{\s*(\S+?)\.(\S+?)\s*\}\s*$`)

func isBinding(s string) bool { return binding.MatchString(s) }

func checkStep(c *Checker, n *Node) {
	if n.Get("type").Str() != "syscall" {
		return
	}
	name := n.Get("syscall")
	if name == nil || isTemplate(name) {
		return
	}
	call := scenario.SyscallByName(name.text)
	if call == nil {
		return // the shape has said so
	}
	args := n.Get("args")
	if args == nil && n.has("args") || args != nil && args.kind != object && args.kind != null || c.part {
		return // that they are wrong is said, or they are to come
	}
	given := map[string]Pos{}
	var names, meant []string
	for i := range call.Args {
		if call.Args[i].Settable() {
			names = append(names, call.Args[i].Name)
		}
	}
	if args.Given() {
		for _, e := range args.entries {
			c.checkArgument(call, e, given)
			if call.Arg(e.key) == nil {
				meant = append(meant, nearest(e.key, names))
			}
		}
	}
	for i := range call.Args {
		a := &call.Args[i]
		if _, ok := given[a.Name]; !ok && !a.Optional && a.Settable() && !slices.Contains(meant, a.Name) {
			c.Wrong(n, "add it to args", "the call %s lacks the argument %s", call.Name, a.Name)
		}
	}
	if (call.Name == "read" || call.Name == "pread64") && given["buffer"].Line == 0 && given["len"].Line == 0 {
		c.Wrong(n, "add it to args", "the call %s lacks one of the arguments buffer and len", call.Name)
	}
}

func (c *Checker) checkArgument(call *scenario.Syscall, e entry, given map[string]Pos) {
	a := call.Arg(e.key)
	if a == nil || !a.Settable() {
		var names []string
		for i := range call.Args {
			if call.Args[i].Settable() {
				names = append(names, call.Args[i].Name)
			}
		}
		hint := nearestOf(e.key, names)
		if hint == "" {
			hint = "it takes none"
		}
		c.add(e.pos, hint, "the call %s has no argument %q", call.Name, e.key)
		return
	}
	if before, ok := given[a.Name]; ok {
		c.add(e.pos, "leave one of them out", "the argument %s is here twice, first in line %d", a.Name, before.Line)
		return
	}
	v := e.value
	if v.kind == null {
		return // as if it were not there
	}
	given[a.Name] = e.pos
	if c.skip && isTemplate(v) || v.kind == text && isBinding(v.text) {
		return
	}
	bad := func(hint, want string) {
		c.Wrong(v, hint, "the argument %s of %s must be %s, and is %s", a.Name, call.Name, want, v.flow())
	}
	switch a.Kind {
	case scenario.How, scenario.Limit:
		c.checkParts(call, a, v)
	case scenario.List:
		if v.kind != list || slices.ContainsFunc(v.items, func(item *Node) bool { return item.kind == null }) {
			bad("such as [sh, -c]", "a list of texts")
		}
	case scenario.Groups:
		if v.kind != list {
			bad("such as [0, 27]", "a list of numbers")
			break
		}
		for _, item := range v.items {
			if item.kind != number || item.float || item.big || item.number < 0 || item.number > math.MaxUint32 {
				c.Wrong(item, "such as 27", "a group of %s must be a number from 0 to %d, and is %s", call.Name, uint32(math.MaxUint32), item.flow())
			}
		}
	case scenario.Address:
		if err := checkSocketAddress(v.Str()); err != nil || v.kind != text {
			bad("such as 203.0.113.10:80, [2001:db8::1]:80 or unix:///run/x.sock", "a socket address")
		}
	case scenario.Number, scenario.FD, scenario.Length:
		if a.Set == "pid" && (v.Str() != "0" || call.Name == "kill") {
			c.Wrong(v, "such as ${target.pid}, of a resource of the type process", "the argument %s of %s must be of a process of the test's own", a.Name, call.Name)
			return
		}
		length := func(n int64) {
			if a.Kind == scenario.Length && (n < 0 || n > scenario.MaxBuffer) {
				bad("such as 4096", fmt.Sprintf("from 0 to %d", scenario.MaxBuffer))
			}
		}
		if v.kind == number && !v.float {
			length(v.number)
			return
		}
		if v.kind != text {
			bad("such as 0", "a number")
			return
		}
		value, err := a.ParseNumber(v.text)
		if err == nil {
			length(value)
		} else {
			names := scenario.Constants(a.Set)
			what, hint := "a number", "such as 0"
			if len(names) > 0 {
				what = "a number or names joined by |"
			}
			last := v.text
			for part := range strings.SplitSeq(v.text, "|") {
				part = strings.TrimSpace(part)
				if _, err := a.ParseNumber(part); err != nil {
					last = part
					break
				}
			}
			if len(names) > 0 {
				hint = nearestOf(last, names)
			}
			c.Wrong(v, hint, "the argument %s of %s must be %s, and %q is not", a.Name, call.Name, what, last)
		}
	default:
		if v.kind == list || v.kind == object {
			bad("", "a text")
		}
	}
}

// partsOf are the parts of an argument that is an object.
func partsOf(kind scenario.Kind) map[string]string {
	if kind == scenario.How {
		return map[string]string{"flags": "open", "mode": "mode", "resolve": "resolve"}
	}
	return map[string]string{"cur": "", "max": ""}
}

func (c *Checker) checkParts(call *scenario.Syscall, a *scenario.Arg, v *Node) {
	parts := partsOf(a.Kind)
	var names []string
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	if v.kind != object {
		c.Wrong(v, "with the keys "+strings.Join(names, ", "), "the argument %s of %s must be an object, and is %s", a.Name, call.Name, v.kind)
		return
	}
	for _, e := range v.entries {
		set, ok := parts[strings.ToLower(e.key)]
		if !ok {
			c.add(e.pos, nearestOf(e.key, names), "there is no key %q in the argument %s of %s", e.key, a.Name, call.Name)
			continue
		}
		p := e.value
		if p.kind == number && !p.float || p.kind == null || p.kind == text && (isBinding(p.text) || c.skip && isTemplate(p)) {
			continue
		}
		part := scenario.Arg{Set: set}
		if _, err := part.ParseNumber(p.Str()); err != nil {
			c.Wrong(p, nearestOf(p.Str(), scenario.Constants(set)), "%s.%s of %s must be a number or names joined by |, and %q is not", a.Name, e.key, call.Name, p.flow())
		}
	}
}

func checkSocketAddress(s string) error {
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		if path == "" || len(path) > 107 {
			return fmt.Errorf("the path must have from 1 to 107 bytes")
		}
		return nil
	}
	_, err := parseAddress(s)
	return err
}

func matcherShape(doc string) *Shape {
	fields := make([]*Field, len(expect.Ops))
	for i, op := range expect.Ops {
		s := optionalText(map[expect.Op]string{
			expect.Equals: "It is just this text.", expect.Contains: "This is part of it.", expect.StartsWith: "It starts so.", expect.EndsWith: "It ends so.",
			expect.Matches: "This regular expression (RE2) matches anywhere in it.",
		}[op])
		switch op {
		case expect.OneOf:
			s = ListOf(optionalText("A text."), 1, "It is one of these texts.")
		case expect.Exists:
			s = yesNo("It has a value; false: it has none.")
		case expect.Matches:
			s.check = func(c *Checker, n *Node) {
				if _, err := expect.Regexp(n.text); err != nil {
					c.Wrong(n, "as Go's package regexp reads it", "%v", err)
				}
			}
		}
		fields[i] = Plus(string(op), s)
	}
	s := FieldsOf(doc, fields...)
	s.kinds = []Kind{text, number, boolean, object}
	s.empty = true
	s.check = func(c *Checker, n *Node) {
		if n.kind != object {
			return
		}
		if n.entriesGiven() == 0 {
			c.Wrong(n, nearestOf("", opNames()), "nothing is expected here")
		}
		if exists := n.Get(string(expect.Exists)); exists.Str() == "false" && n.entriesGiven() > 1 {
			c.Wrong(exists, "leave one of them out", "what has no value is not like anything")
		}
	}
	return s
}

func opNames() []string {
	names := make([]string, len(expect.Ops))
	for i, op := range expect.Ops {
		names[i] = string(op)
	}
	return names
}

func priorityShape(doc string) *Shape {
	s := Words(doc)
	s.examples = []any{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}
	s.check = func(c *Checker, n *Node) {
		if n.kind == object {
			if n.entriesGiven() != 1 {
				c.Wrong(n, "one of atLeast, atMost", "a priority needs one bound")
			}
			return
		}
		if _, err := alert.ParsePriority(n.text); err != nil {
			c.Wrong(n, nearestOf(n.text, []string{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}), "%q is no priority", n.text)
		}
	}
	return s
}

func outcomeShape() *Shape {
	priority := priorityShape("The alert's priority, in any case; or a bound on it.")
	priority.kinds, priority.write = []Kind{text, object}, "such as warning"
	priority.fields = []*Field{
		Plus("atLeast", priorityShape("It is this one or more severe.")),
		Plus("atMost", priorityShape("It is this one or less severe.")),
	}
	count := FieldsOf("How many alerts there are: a number, or bounds.", Plus("atLeast", Integer("So many or more.")), Plus("atMost", Integer("So many or fewer, and one at least unless atLeast or atMost is 0.")))
	count.kinds = []Kind{number, object}
	count.check = func(c *Checker, n *Node) {
		if n.kind == object && n.entriesGiven() == 0 {
			c.Wrong(n, "atLeast, atMost", "a count needs a bound")
		}
	}
	s := FieldsOf("The alert that is expected. Whatever is not named here is not compared; {} is any alert of the rule.",
		Plus("fires", yesNo("false: no such alert may come. Default: true.")),
		may("source", Words("The alert's source.")),
		may("hostname", Words("The alert's host name.")),
		may("priority", priority),
		may("outputFields", mapOf(matcherShape("What the field's value is: a text, or what it is like."), "The field's name.", "The alert's output fields.")),
		Plus("output", matcherShape("What the alert's output is: a text, or what it is like.")),
		Plus("tags", ListOf(Words("A tag."), 1, "Tags that the alert has, among others.")),
		Plus("count", count),
	)
	s.check = func(c *Checker, n *Node) {
		if count := n.Get("count"); n.Get("fires").Str() == "false" && count.Given() {
			c.Wrong(count, "leave it out", "fires: false expects no alert, and has no count")
		}
	}
	return s
}

func caseShape() *Shape {
	values := Anything()
	return FieldsOf("The values of one case or of many.",
		need("strategy", Choice("vector: one case. matrix: a case for each combination of the listed values.", "vector", "matrix")),
		need("values", mapOf(values, "The key, as in %{ item.key }.", "The values by their keys, the same keys in all cases of a test.")),
	)
}
