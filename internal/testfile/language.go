// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"fmt"
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

func words(doc string) *shape { return &shape{kinds: []nodeKind{text, number, boolean}, doc: doc} }

func optionalText(doc string) *shape {
	s := words(doc)
	s.empty = true
	return s
}

func choice(doc string, choices ...string) *shape {
	return &shape{kinds: []nodeKind{text}, doc: doc, choices: choices}
}

func integer(doc string) *shape { return &shape{kinds: []nodeKind{number}, doc: doc} }

func yesNo(doc string) *shape { return &shape{kinds: []nodeKind{boolean}, doc: doc} }

func listOf(items *shape, least int, doc string) *shape {
	return &shape{kinds: []nodeKind{list}, items: items, least: least, doc: doc}
}

func atMost(most int, s *shape) *shape {
	s.most = most
	return s
}

func fieldsOf(doc string, fields ...*field) *shape {
	return &shape{kinds: []nodeKind{object}, doc: doc, fields: fields}
}

func mapOf(items *shape, keys, doc string) *shape {
	return &shape{kinds: []nodeKind{object}, items: items, keys: keys, doc: doc, least: 1}
}

func need(name string, s *shape) *field {
	return &field{name: name, doc: s.doc, required: true, shape: s}
}

func may(name string, s *shape) *field { return &field{name: name, doc: s.doc, shape: s} }

// plus is a key that event-generator's language does not have.
func plus(name string, s *shape) *field {
	return &field{name: name, doc: s.doc, shape: s, addition: true}
}

// language is the shape of a file.
var language = sync.OnceValue(func() *shape {
	return fieldsOf("A file of tests for Falco rules.",
		need("tests", listOf(testShape(), 1, "The tests, in the order in which they are reported.")),
		plus("quiet", listOf(words("A rule's name."), 1, "Rules that no test of the file may cause to fire, unless it is for that rule.")),
	)
})

func testShape() *shape {
	return fieldsOf("What is done, and which alert that should cause.",
		need("name", words("The test's name, unique among the files of a run. Tests made from cases get _testCase#N added to it.")),
		may("rule", &shape{kinds: []nodeKind{text, list}, items: words("A rule's name."), least: 1, doc: "The rule that is expected to fire; or a list of rules, each of which is."}),
		may("description", words("What the test shows, for people.")),
		may("runner", choice("Where it runs. HostRunner is the only one.", "HostRunner")),
		may("runIf", fieldsOf("Where the test applies; elsewhere it is skipped.",
			need("arch", fieldsOf("The processor.", need("op", choice("How to compare.", "eq", "ne")), need("val", words("As Go names it: amd64, arm64."))))),
		),
		may("context", contextShape()),
		may("before", words("A bash script that runs in the last process of the chain before the resources are made.")),
		may("after", words("A bash script that runs after the steps, in the same bash as before.")),
		may("resources", listOf(resourceShape(), 1, "What is made before the steps, in this order; steps use its fields by ${name.field}.")),
		may("steps", listOf(stepShape(), 1, "What the last process of the chain does, in this order.")),
		may("expectedOutcome", outcomeShape()),
		may("cases", listOf(caseShape(), 1, "Makes the test a template: %{ item.key } stands for a case's value, and there is a test for each case.")),
		plus("extends", words("The name of another test of the file, to be like: objects are merged, resources and steps by their name, and other lists replaced; null takes a key away.")),
		plus("draft", words("What is still to be done: the test fails, and says so.")),
		plus("source", choice("Where the events come from.", "syscall", "k8s_audit")),
		plus("objects", &shape{kinds: []nodeKind{list, object, text}, items: anything(), doc: "Objects that are created on the cluster, and deleted at the end: one, a list, or the path of a file of them, relative to this one. ${NAME} in them is a name that the test has to itself."}),
		plus("requests", listOf(requestShape(), 1, "Requests to the cluster's API server, in this order, after the objects.")),
		plus("events", &shape{kinds: []nodeKind{list, object, text}, items: anything(), doc: "Recorded Kubernetes audit events that are judged in place of a run: one, a list, or the path of a file, relative to this one."}),
	)
}

func requestShape() *shape {
	path := words("The path, such as /api/v1/namespaces/default/secrets/${NAME}?limit=5.")
	path.check = func(c *checker, n *node) {
		if !strings.HasPrefix(n.text, "/") || strings.ContainsAny(n.text, " \t\r\n") {
			c.wrong(n, "such as /api/v1/namespaces/default/secrets/${NAME}", "%q is no path of a request", n.text)
		}
	}
	status := integer("The status that the server must answer with. Default: any, for rules look at requests.")
	status.least, status.most = 100, 599
	s := fieldsOf("A request to the API server.",
		plus("method", choice("The method. Default: GET.", "GET", "POST", "PUT", "PATCH", "DELETE")),
		&field{name: "path", doc: path.doc, required: true, shape: path, addition: true},
		plus("body", &shape{kinds: []nodeKind{object, list, text}, items: anything(), doc: "What is sent: an object, or a text."}),
		plus("contentType", words("What the body is. Default: application/json, of PATCH application/merge-patch+json.")),
		plus("user", words("Who makes the request: a user that is made for the test and has no rights but those that all have. Default: the one of the kubeconfig.")),
		plus("groups", listOf(words("A group."), 1, "The user's groups.")),
		plus("status", status),
	)
	s.check = func(c *checker, n *node) {
		user, path := n.get("user"), n.get("path")
		if groups := n.get("groups"); groups.given() && !user.given() {
			c.wrong(groups, "add user", "there are groups, and no user")
		}
		method := n.get("method").str()
		if changes := method == "PUT" || method == "PATCH" || method == "DELETE"; changes && !user.given() && path != nil &&
			!strings.Contains(path.str(), "${NAME}") && !(c.skip && isTemplate(path)) {
			c.wrong(path, "make it by objects, with the name ${NAME}", "the request %s %s would change what the test has not made", method, path.str())
		}
	}
	return s
}

// anything is a value that is handed on as it is.
func anything() *shape {
	s := &shape{kinds: []nodeKind{null, text, number, boolean, list, object}, empty: true, doc: "Any value."}
	s.items = s
	return s
}

func envShape(whose string) *shape {
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

func contextShape() *shape {
	return fieldsOf("In which processes, and in which container, the test runs.",
		may("processes", atMost(64, listOf(processShape("name", true), 1, "A chain of processes, each started by the one before it. The last one makes the resources and does the steps, and it alone is judged."))),
		may("container", fieldsOf("Runs the chain in a privileged container.",
			may("image", words("The name of the container's image, for the rules: the image is made from the test binary, or is the one of WithImage.")),
			may("name", words("The container's name. The id of the run is added to it.")),
			may("env", envShape("of the container")),
		)),
	)
}

// fileName is a name without a slash.
func fileName(doc string) *shape {
	s := words(doc)
	s.check = func(c *checker, n *node) {
		if strings.ContainsAny(n.text, "/\x00") || n.text == "." || n.text == ".." {
			c.wrong(n, "a path goes into exePath", "%q is not the name of a process", n.text)
		}
	}
	return s
}

func absolute(doc string) *shape {
	s := words(doc)
	s.check = func(c *checker, n *node) {
		if !strings.HasPrefix(n.text, "/") || strings.Contains(n.text, "\x00") {
			c.wrong(n, "", "%q is no absolute path", n.text)
		}
	}
	return s
}

func processShape(nameKey string, chain bool) *shape {
	fields := []*field{
		may(nameKey, fileName("The process's name, as the kernel has it. Default: the last element of exePath.")),
		may("exe", words("argv[0]. Default: the name if there is one, else the last element of exePath.")),
		may("exePath", absolute("The path of the executable. Folders that are missing are made. Default: a path of the run's own.")),
		may("args", optionalText("The arguments, separated by spaces; quoted by ' or \", one may hold spaces.")),
		may("env", envShape("of the process, added to those that it inherits")),
	}
	if chain {
		capabilities := words("The process's capabilities, as cap_from_text(3) reads them; of the last process only. Default: all=iep, all that the machine grants.")
		capabilities.check = func(c *checker, n *node) {
			if _, err := scenario.ParseCapabilities(n.text); err != nil {
				c.wrong(n, `such as "cap_net_admin,cap_chown=ep"`, "the capabilities %q cannot be read: %v", n.text, err)
			}
		}
		fields = append(fields,
			may("user", words("The user who runs the process. One that does not exist is made, and removed afterwards.")),
			may("capabilities", capabilities),
		)
	}
	return fieldsOf("A process.", fields...)
}

func resourceShape() *shape {
	s := fieldsOf("Something that steps use.",
		need("type", choice("What it is.", "clientServer", "fd", "process")),
		need("name", words("Its name, unique among the test's resources and steps.")),
	)
	s.selects = "type"
	subtype := choice("What the descriptor is of.", "file", "directory", "pipe", "event", "signalfd", "eventpoll", "inotify", "memfd")
	s.variants = []variant{
		{"clientServer", "A server and a client, connected where the protocol is. Exposes client.fd and server.fd.", []*field{
			need("l4Proto", choice("The protocol.", "udp4", "udp6", "tcp4", "tcp6", "unix")),
			need("address", optionalText("host:port, an IP address; empty for unix. It exists in a network namespace of the test's own.")),
		}},
		{"fd", "A descriptor. Exposes fd; of a pipe, readFd and writeFd.", []*field{
			need("subtype", subtype),
			may("filePath", absolute("The path of the file. One that is missing is made, and removed afterwards.")),
			may("dirPath", absolute("The path of the directory. One that is missing is made, and removed afterwards.")),
			may("fileName", words("The name of the memfd.")),
		}},
		{"process", "A process that waits. Exposes pid.", append(processShape("procName", false).fields,
			may("fileLess", yesNo("Executes it from a memfd.")))},
	}
	s.check = checkResource
	return s
}

func checkResource(c *checker, n *node) {
	path := map[string]string{"file": "filePath", "directory": "dirPath", "memfd": "fileName"}[n.get("subtype").str()]
	if n.get("type").str() == "fd" && path != "" && !n.get(path).given() {
		c.wrong(n, "", "a resource of the subtype %s lacks the key %s", n.get("subtype").str(), path)
	}
	proto, address := n.get("l4Proto"), n.get("address")
	if n.get("type").str() != "clientServer" || proto == nil || address == nil || c.skip && (isTemplate(proto) || isTemplate(address)) {
		return
	}
	if proto.text == "unix" {
		if address.text != "" {
			c.wrong(address, `write ""`, "the address of unix must be empty")
		}
		return
	}
	ip, _, err := splitAddress(address.text)
	switch {
	case err != nil:
		c.wrong(address, "such as 203.0.113.10:80 or [2001:db8::1]:80", "the address %q cannot be read: %v", address.text, err)
	case strings.HasSuffix(proto.text, "4") != (ip.To4() != nil):
		c.wrong(address, "", "the address %s is none of the protocol %s", address.text, proto.text)
	}
}

func isTemplate(n *node) bool { return n.kind == text && placeholder.MatchString(n.text) }

func splitAddress(address string) (net.IP, int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return nil, 0, fmt.Errorf("%q is no IP address", host)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return nil, 0, fmt.Errorf("%q is no port from 1 to 65535", port)
	}
	return ip, n, nil
}

func stepShape() *shape {
	s := fieldsOf("One thing that is done.",
		need("type", choice("What is done.", "syscall", "command", "write", "sleep", "action")),
		need("name", words("Its name, unique among the test's resources and steps.")),
	)
	s.selects = "type"
	exit := integer("The exit code that it must have. Default: 0.")
	exit.most = 255
	mode := integer("The mode of a new file. Default: 0644.")
	mode.most = 0o7777
	duration := words("How long, such as 500ms or 6s.")
	duration.check = func(c *checker, n *node) {
		switch d, err := time.ParseDuration(n.text); {
		case err != nil:
			c.wrong(n, "such as 500ms or 6s", "%q is no duration", n.text)
		case d <= 0 || d > maxSleep:
			c.wrong(n, "such as 500ms or 6s", "a duration must be more than 0 and %s at most, and is %s", maxSleep, n.text)
		}
	}
	expectError := words("The error that the call must fail with, such as EPERM.")
	expectError.check = func(c *checker, n *node) {
		if !errnoName.MatchString(n.text) {
			c.wrong(n, "such as EPERM", "%q is no name of an error", n.text)
		}
	}
	s.variants = []variant{
		{"syscall", "Makes a system call. It fails the test if the call fails, or with expectError if it does not.", []*field{
			need("syscall", choice("The system call.", scenario.SyscallNames()...)),
			may("args", &shape{kinds: []nodeKind{object}, doc: "The arguments, by the names of the manual or of evt.arg; case and underscores do not count.",
				items: &shape{kinds: []nodeKind{text, number, boolean, list, object}, empty: true, items: anyArgument(), doc: "A number, names of flags joined by |, a text, or ${name.field}."}, keys: "The argument's name."}),
			plus("expectError", expectError),
		}},
		{"command", "Runs a program to its end.", []*field{
			need("program", words("Its path, or its name in PATH.")),
			may("args", listOf(optionalText("An argument."), 0, "Its arguments.")),
			may("stdin", optionalText("What it reads from standard input.")),
			may("env", envShape("of the program, added to those that it inherits")),
			may("dir", absolute("Its working directory.")),
			may("exitCode", exit),
		}},
		{"write", "Writes a file, which is made if it is missing, and put back afterwards.", []*field{
			need("path", absolute("The file's path.")),
			may("content", optionalText("What to write.")),
			may("append", yesNo("Adds it at the end. Default: it replaces what is there.")),
			may("mode", mode),
		}},
		{"sleep", "Waits.", []*field{need("duration", duration)}},
		{"action", "Runs a registered action. It is the only step of its test.", []*field{need("action", words("The action's name, such as syscall.ClearLogActivities."))}},
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

var errnoName = regexp.MustCompile(`^E[A-Z0-9]+$`)

func anyArgument() *shape {
	return &shape{kinds: []nodeKind{text, number, boolean}, empty: true, doc: "A part of the argument."}
}

// binding is ${name.field}, alone in a text.
var binding = regexp.MustCompile(`^\s*\$\{\s*(\S+?)\.(\S+?)\s*\}\s*$`)

func isBinding(s string) bool { return binding.MatchString(s) }

func checkStep(c *checker, n *node) {
	if n.get("type").str() != "syscall" {
		return
	}
	name := n.get("syscall")
	if name == nil || isTemplate(name) {
		return
	}
	call := scenario.SyscallByName(name.text)
	if call == nil {
		return // the shape has said so
	}
	args := n.get("args")
	given := map[string]Pos{}
	if args.given() {
		for _, e := range args.entries {
			c.checkArgument(call, e, given)
		}
	}
	for i := range call.Args {
		a := &call.Args[i]
		if _, ok := given[a.Name]; !ok && !a.Optional && a.Settable() {
			c.wrong(n, "", "the call %s lacks the argument %s", call.Name, a.Name)
		}
	}
	if (call.Name == "read" || call.Name == "pread64") && given["buffer"].Line == 0 && given["len"].Line == 0 {
		c.wrong(n, "", "the call %s lacks one of the arguments buffer and len", call.Name)
	}
}

func (c *checker) checkArgument(call *scenario.Syscall, e entry, given map[string]Pos) {
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
		c.add(e.pos, "", "the argument %s is here twice, first in line %d", a.Name, before.Line)
		return
	}
	given[a.Name] = e.pos
	v := e.value
	if v.kind == null || c.skip && isTemplate(v) || v.kind == text && isBinding(v.text) {
		return
	}
	bad := func(hint, want string) {
		c.wrong(v, hint, "the argument %s of %s must be %s, and is %s", a.Name, call.Name, want, v.flow())
	}
	switch a.Kind {
	case scenario.How, scenario.Limit:
		c.checkParts(call, a, v)
	case scenario.List:
		if v.kind != list {
			bad("", "a list of texts")
		}
	case scenario.Groups:
		if v.kind != list {
			bad("such as [0, 27]", "a list of numbers")
			break
		}
		for _, item := range v.items {
			if item.kind != number || item.float || item.big || item.number < 0 || item.number > math.MaxUint32 {
				c.wrong(item, "such as 27", "a group of %s must be a number from 0 to %d, and is %s", call.Name, uint32(math.MaxUint32), item.flow())
			}
		}
	case scenario.Address:
		if err := checkSocketAddress(v.str()); err != nil || v.kind != text {
			bad("such as 203.0.113.10:80, [2001:db8::1]:80 or unix:///run/x.sock", "a socket address")
		}
	case scenario.Number, scenario.FD, scenario.Length:
		if a.Set == "pid" && (v.str() != "0" || call.Name == "kill") {
			c.wrong(v, "such as ${target.pid}, of a resource of the type process", "the argument %s of %s must be of a process of the test's own", a.Name, call.Name)
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
			bad("", "a number")
			return
		}
		value, err := a.ParseNumber(v.text)
		if err == nil {
			length(value)
		} else {
			names := scenario.Constants(a.Set)
			what := "a number"
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
			c.wrong(v, nearestOf(last, names), "the argument %s of %s must be %s, and %q is not", a.Name, call.Name, what, last)
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

func (c *checker) checkParts(call *scenario.Syscall, a *scenario.Arg, v *node) {
	parts := partsOf(a.Kind)
	var names []string
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	if v.kind != object {
		c.wrong(v, "with the keys "+strings.Join(names, ", "), "the argument %s of %s must be an object, and is %s", a.Name, call.Name, v.kind)
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
		if _, err := part.ParseNumber(p.str()); err != nil {
			c.wrong(p, nearestOf(p.str(), scenario.Constants(set)), "%s.%s of %s must be a number or names joined by |, and %q is not", a.Name, e.key, call.Name, p.flow())
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
	_, _, err := splitAddress(s)
	return err
}

func matcherShape(doc string) *shape {
	fields := make([]*field, len(expect.Ops))
	for i, op := range expect.Ops {
		s := optionalText(map[expect.Op]string{
			expect.Equals: "It is just this text.", expect.Contains: "This is part of it.", expect.StartsWith: "It starts so.", expect.EndsWith: "It ends so.",
			expect.Matches: "This regular expression (RE2) matches anywhere in it.",
		}[op])
		switch op {
		case expect.OneOf:
			s = listOf(optionalText("A text."), 1, "It is one of these texts.")
		case expect.Exists:
			s = yesNo("It has a value; false: it has none.")
		case expect.Matches:
			s.check = func(c *checker, n *node) {
				if _, err := expect.Regexp(n.text); err != nil {
					c.wrong(n, "", "%v", err)
				}
			}
		}
		fields[i] = plus(string(op), s)
	}
	s := fieldsOf(doc, fields...)
	s.kinds = []nodeKind{text, number, boolean, object}
	s.empty = true
	s.check = func(c *checker, n *node) {
		if n.kind == object && len(n.entries) == 0 {
			c.wrong(n, nearestOf("", opNames()), "nothing is expected here")
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

func priorityShape(doc string) *shape {
	s := words(doc)
	s.check = func(c *checker, n *node) {
		if n.kind == object {
			if len(n.entries) != 1 {
				c.wrong(n, "one of atLeast, atMost", "a priority needs one bound")
			}
			return
		}
		if _, err := alert.ParsePriority(n.text); err != nil {
			c.wrong(n, nearestOf(n.text, []string{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}), "%q is no priority", n.text)
		}
	}
	return s
}

func outcomeShape() *shape {
	priority := priorityShape("The alert's priority, in any case; or a bound on it.")
	priority.kinds = []nodeKind{text, object}
	priority.fields = []*field{
		plus("atLeast", priorityShape("It is this one or more severe.")),
		plus("atMost", priorityShape("It is this one or less severe.")),
	}
	count := fieldsOf("How many alerts there are: a number, or bounds.", plus("atLeast", integer("So many or more.")), plus("atMost", integer("So many or fewer.")))
	count.kinds = []nodeKind{number, object}
	count.check = func(c *checker, n *node) {
		if n.kind == object && len(n.entries) == 0 {
			c.wrong(n, "atLeast, atMost", "a count needs a bound")
		}
	}
	s := fieldsOf("The alert that is expected. Whatever is not named here is not compared; {} is any alert of the rule.",
		plus("fires", yesNo("false: no such alert may come, and count does not count. Default: true.")),
		may("source", words("The alert's source.")),
		may("hostname", words("The alert's host name.")),
		may("priority", priority),
		may("outputFields", mapOf(matcherShape("What the field's value is: a text, or what it is like."), "The field's name.", "The alert's output fields.")),
		plus("output", matcherShape("What the alert's output is: a text, or what it is like.")),
		plus("tags", listOf(words("A tag."), 1, "Tags that the alert has, among others.")),
		plus("count", count),
	)
	return s
}

func caseShape() *shape {
	values := anything()
	return fieldsOf("The values of one case or of many.",
		need("strategy", choice("vector: one case. matrix: a case for each combination of the listed values.", "vector", "matrix")),
		need("values", mapOf(values, "The key, as in %{ item.key }.", "The values by their keys, the same keys in all cases of a test.")),
	)
}
